"""Priorities that follow where tokens are: near one another, in runs, or in waves of noise.

Shapes: B samples, T tokens, G groups, P coordinates, K waves.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.masks.groups import Grouping
from anymae.masks.priorities import Priority, extents, noise
from anymae.tokens import Packed


class NearestPriority(Priority, kind="nearest"):
    """Tokens nearest to a randomly chosen token are hidden, or with ``hide=False`` seen.

    ``norm="euclidean"`` hides a ball (Point-MAE's block masking), ``"box"`` a box of the sample's
    own proportions (the inverse block of data2vec 2.0 and CAPI, where the box is what is seen).
    """

    hide: bool = True
    norm: Literal["euclidean", "box"] = "euclidean"

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        owner = packed.segments.ids(packed.device)
        which = draws.uniform(packed.drawing_keys, _one(packed), "nearest/centre")
        lengths = packed.segments.lengths.to(packed.device)
        starts = packed.offsets[:-1].to(packed.device)
        centre = starts + (which * lengths).long().clamp(max=lengths - 1)
        apart = packed.coords.float() - packed.coords[centre][owner].float()
        if self.norm == "box":
            apart = apart / extents(packed)[1][owner]
            distance = apart.abs().amax(1)
            reach = torch.ones_like(distance)
        else:
            distance = apart.square().sum(1).sqrt()
            reach = extents(packed)[1].norm(dim=1)[owner]
        # Ties (cells of a grid at one distance) are broken by a little noise.
        tie = 1e-4 * reach * noise(packed, packed.segments, "nearest/tie")
        order = grouping.average(distance + tie)
        return -order if self.hide else order


class SpanPriority(Priority, kind="span"):
    """Runs of ``length`` units along coordinate ``axis`` are hidden together, from a random start.

    Lines of other coordinates (channels, rows) have runs of their own, unless ``shared``.
    """

    axis: int = 0
    length: float = Field(gt=0)
    shared: bool = False

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        axis = self.axis % packed.coords.shape[1]
        owner = packed.segments.ids(packed.device)
        lines = packed.coords.double().clone()
        lines[:, axis] = 0
        if self.shared:
            lines.zero_()
        _, line = torch.unique(
            torch.cat([owner[:, None].double(), lines], 1), dim=0, return_inverse=True
        )
        within = line - line[packed.offsets[:-1].to(line.device)][owner]
        keys = packed.drawing_keys[owner]
        start = draws.uniform(keys, within, "span/start") * self.length
        cell = torch.floor((packed.coords[:, axis].double() + start) / self.length).long()
        return grouping.average(draws.uniform(keys, within * 1_000_003 + cell, "span/run"))


class FilteredPriority(Priority, kind="filtered"):
    """Noise with a colour: which of its waves over the coordinates are long and which short.

    ``waves`` random plane waves with frequencies (cycles a unit) between ``low`` and ``high`` are
    added up. Long waves alone give patches of seen tokens (red), short ones an even spread (blue),
    the middle is green (ColorMAE, Hinojosa et al. 2024, which filters white noise with Gaussians).
    """

    low: float = Field(default=0.1, ge=0)
    high: float = Field(default=0.3, gt=0)
    waves: int = Field(default=64, gt=0)

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        keys = packed.drawing_keys[:, None]
        counters = torch.arange(self.waves, device=packed.device)[None]
        dims = packed.coords.shape[1]
        direction = torch.stack(
            [draws.normal(keys, counters, f"wave/direction/{p}") for p in range(dims)], -1
        )
        direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        # Uniform in the area of the band, as white noise is.
        share = draws.uniform(keys, counters, "wave/length")
        length = (self.low**dims + share * (self.high**dims - self.low**dims)) ** (1 / dims)
        vectors = 2 * math.pi * length[..., None] * direction
        phase = 2 * math.pi * draws.uniform(keys, counters, "wave/phase")
        owner = packed.segments.ids(packed.device)
        angle = torch.einsum("tp,tkp->tk", packed.coords.float(), vectors[owner]) + phase[owner]
        return grouping.average(angle.cos().sum(1))


def _one(packed: Packed) -> Tensor:
    return torch.zeros(len(packed), dtype=torch.int64, device=packed.device)
