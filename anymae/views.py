"""Views: several masks of one sample in one step, which share what is made of the whole sample.

Shapes: B samples, M views of each, T tokens of the B samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from anymae import draws
from anymae.encoder import Latents
from anymae.kernels.segments import Segments
from anymae.tokens import Packed, concatenate

Look = Callable[[Packed, tuple[int, ...]], Latents]
"""Encodes a batch and keeps the outputs of some blocks."""


def in_views(packed: Packed, views: int) -> Packed:
    """A batch ``views`` times over, M T tokens of M B samples: the first view of every sample, then
    the second of every one, and so on (the multi-masking of data2vec 2.0, Baevski et al. 2023).

    Views differ in their keys alone, and so in masks and whatever else is drawn. The first has the
    sample's own key, the others have keys derived from it. Raises ``BadConfig`` if several views of
    a batch without keys are wanted.
    """
    if views == 1:
        return packed
    keys = packed.drawing_keys
    others = [draws.bits(keys, torch.full_like(keys, view), "view") for view in range(1, views)]
    copies = [packed, *(packed.with_keys(other) for other in others)]
    return replace(concatenate(copies), views=views)


def one_of_each(packed: Packed) -> Packed:
    """The first view of every sample."""
    return packed if packed.views == 1 else packed.slice(0, len(packed) // packed.views)


def look_once(look: Look, packed: Packed, taps: tuple[int, ...]) -> Latents:
    """What ``look`` makes of a batch; views of one sample, which hold the same, are looked at once
    and get the same answer."""
    latents = look(one_of_each(packed), taps)
    return latents if packed.views == 1 else _repeated(latents, packed.views)


def _repeated(latents: Latents, views: int) -> Latents:
    def cut(segments: Segments) -> Segments:
        return Segments.of_lengths(segments.lengths.repeat(views))

    return Latents(
        latents.x.repeat(views, 1),
        cut(latents.segments),
        cut(latents.of_lead),
        cut(latents.of_tokens),
        tuple(tap.repeat(views, 1) for tap in latents.taps),
    )
