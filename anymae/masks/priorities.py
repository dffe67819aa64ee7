"""Priorities: the order in which members of a sample are seen, lowest first.

Shapes: B samples, T tokens, G groups, P coordinates, K boxes.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.errors import BadInput
from anymae.kernels.segments import Segments
from anymae.masks.groups import Grouping
from anymae.parts import Part
from anymae.tokens import Packed


class Priority(Part, slot="priority"):
    """A part that orders the groups of a batch."""

    needs_cls: ClassVar[bool] = False
    """Whether the encoder must have a class token."""
    needs_difficulty: ClassVar[bool] = False
    """Whether a goal must foresee the losses of tokens."""

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        """(G,) floats; every draw comes from ``packed.keys``."""
        raise NotImplementedError


def noise(packed: Packed, segments: Segments, purpose: str) -> Tensor:
    """One uniform number for each member of each sample."""
    owner, place = segments.ids(packed.device), segments.within(packed.device)
    return draws.uniform(packed.drawing_keys[owner], place, purpose)


class NoisePriority(Priority, kind="noise"):
    """Uniform noise: every subset of the budget's size is equally likely."""

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        return noise(packed, grouping.segments, "mask")


class GivenPriority(Priority, kind="given"):
    """Numbers that come with the data, ``packed.side[field]`` (T,), averaged over groups."""

    field: str = "priority"

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        if self.field not in packed.side:
            raise BadInput(
                f"mask.priority=given needs a per-token field {self.field!r}",
                found=f"{sorted(packed.side) or 'none'}",
                hint="Return it in Tokens.side, or choose another priority.",
            )
        return grouping.average(packed.side[self.field].float())


class BlockPriority(Priority, kind="block"):
    """Random boxes are hidden one after another until the budget is spent (after BEiT).

    Each box covers a fraction U(``smallest``, ``largest``) of the sample's extent with an aspect
    ratio exp(U(-log, log) of ``aspect``) between axes. Where BEiT trims the last box at random
    to reach the exact count, so does this: members of one box are ordered by noise.
    """

    smallest: float = Field(default=0.08, gt=0, le=1)
    largest: float = Field(default=0.3, gt=0, le=1)
    aspect: float = Field(default=10 / 3, ge=1)
    boxes: int = Field(default=16, gt=0)

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        low, extent = extents(packed)
        centre, half = self._boxes(packed.drawing_keys, low, extent)
        owner = packed.segments.ids(packed.device)
        distance = (packed.coords[:, None].float() + 0.5 - centre[owner]).abs()
        inside = (distance <= half[owner]).all(-1)
        rank = torch.arange(self.boxes, device=packed.device)
        first = torch.where(inside, rank, self.boxes).amin(1).float()
        return grouping.average(-first) + noise(packed, grouping.segments, "mask")

    def _boxes(self, keys: Tensor, low: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Centres and half sizes, each (B, K, P)."""
        counters = torch.arange(self.boxes, device=keys.device)
        draw = lambda purpose: draws.uniform(keys[:, None], counters, purpose)  # noqa: E731
        dims = extent.shape[1]
        area = self.smallest + (self.largest - self.smallest) * draw("box/area")
        log_aspect = torch.stack([2 * draw(f"box/aspect/{p}") - 1 for p in range(dims)], -1)
        log_aspect = (log_aspect - log_aspect.mean(-1, keepdim=True)) * self._log_aspect()
        size = (area[..., None] ** (1 / dims) * log_aspect.exp()).clamp(max=1) * extent[:, None]
        place = torch.stack([draw(f"box/place/{p}") for p in range(dims)], -1)
        centre = low[:, None] + size / 2 + place * (extent[:, None] - size)
        return centre, size / 2

    def _log_aspect(self) -> float:
        return float(torch.tensor(self.aspect).log())


def extents(packed: Packed) -> tuple[Tensor, Tensor]:
    """Lowest coordinates and extents (in tokens) of each sample, (B, P) each."""
    coords = packed.coords.float()
    owner = packed.segments.ids(packed.device)[:, None].expand_as(coords)
    shape = (len(packed), coords.shape[1])
    low = coords.new_full(shape, float("inf")).scatter_reduce(0, owner, coords, "amin")
    high = coords.new_full(shape, float("-inf")).scatter_reduce(0, owner, coords, "amax")
    return low, high - low + 1
