"""Which frames of a video make a clip, and what follows from the data where nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import torch


def middle(length: int, frames: int | None, stride: int) -> range:
    """The middle clip of a video of ``length`` frames: at most ``frames`` (None: as many as there
    are) of them, every ``stride``-th."""
    count = 1 + (length - 1) // stride
    if frames is not None:
        count = min(count, frames)
    span = (count - 1) * stride + 1
    start = (length - span) // 2
    return range(start, start + span, stride)


def at_random(length: int, frames: int | None, stride: int, generator: torch.Generator) -> range:
    """A clip of the same length from a place drawn uniformly."""
    window = middle(length, frames, stride)
    span = window.stop - window.start
    start = int(torch.randint(length - span + 1, (), generator=generator))
    return range(start, start + span, stride)


def default_stride(lengths: Sequence[int], frames: int | None) -> int:
    """As many frames apart as lets half of the videos fill a clip, at most 4 (VideoMAE's on
    Kinetics)."""
    return 1 if frames is None else max(1, min(4, int(median(lengths)) // frames))


def default_patch(side: int) -> int:
    """Rows and columns of a tube for frames of this smaller side."""
    for limit, patch in ((16, 2), (32, 4), (112, 8)):
        if side <= limit:
            return patch
    return 16


def whole(side: float, patch: int) -> int:
    """The nearest whole number of patches, in pixels."""
    return max(1, round(side / patch)) * patch
