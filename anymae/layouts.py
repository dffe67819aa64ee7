"""Layouts: who may look at whom among a sample's tokens.

Every layout is a partition of the packed axis: attention is block-diagonal on it, so one kernel
serves them all. ``full`` is the sample itself; ``windows`` cuts each sample into boxes of its own
coordinates, which keeps the cost linear for large samples.

Shapes: T tokens, H heads, D numbers a head, P coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.attention import attention
from anymae.kernels.segments import Segments


@dataclass(frozen=True)
class Layout:
    """A partition of T tokens: ``segments`` cuts them after reordering by ``order`` (T,), which
    is None where the packed order already serves."""

    segments: Segments
    order: Tensor | None = None
    inverse: Tensor | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Self-attention inside each part, q, k, v (T, H, D): (T, H, D)."""
        if self.order is None or self.inverse is None:
            return attention(q, k, v, self.segments, self.segments)
        q, k, v = (x.index_select(0, self.order) for x in (q, k, v))
        return attention(q, k, v, self.segments, self.segments).index_select(0, self.inverse)


def full(segments: Segments) -> Layout:
    """Every token sees its whole sample."""
    return Layout(segments)


def windows(
    coords: Tensor, segments: Segments, size: Sequence[float], *, shifted: bool, lead: int
) -> Layout:
    """Tokens see the tokens in the same box of ``size`` units along each coordinate.

    ``coords`` (T, P) excludes the ``lead`` registers that precede each sample in ``segments``;
    they form a part of their own and mix with the tokens in full layers. ``shifted`` moves the
    boxes by half their size, so that alternating layers connect neighbours (Liu et al. 2021).
    """
    if len(size) not in (1, coords.shape[1]):
        raise BadConfig(
            "window must have one size, or one per coordinate",
            found=f"{len(size)} sizes",
            expected=f"1 or {coords.shape[1]}",
        )
    box = torch.tensor([float(s) for s in size], device=coords.device).expand(coords.shape[1])
    cells = torch.floor(coords / box + (0.5 if shifted else 0.0)).long()
    within = segments.within(coords.device)
    places = torch.zeros(segments.total, coords.shape[1] + 2, dtype=torch.int64).to(coords.device)
    places[:, 0] = segments.ids(coords.device)
    places[:, 1] = within >= lead
    places[within >= lead, 2:] = cells
    _, part, counts = torch.unique(places, dim=0, return_inverse=True, return_counts=True)
    order = torch.argsort(part, stable=True)
    return Layout(Segments.of_lengths(counts.cpu()), order, torch.argsort(order))
