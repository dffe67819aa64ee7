"""Groups: tokens that are seen or hidden together.

Shapes: B samples, T tokens, P coordinates, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.parts import Part
from anymae.tokens import Packed


@dataclass(frozen=True)
class Grouping:
    """Groups of one batch: ``of_token`` (T,) is each token's place on the group axis (None where
    every token is its own group), ``segments`` cuts that axis into samples."""

    segments: Segments
    of_token: Tensor | None = None

    def average(self, values: Tensor) -> Tensor:
        """Token values (T,) averaged over each group: (G,)."""
        if self.of_token is None:
            return values
        total = values.new_zeros(self.segments.total).index_add_(0, self.of_token, values)
        return total / torch.bincount(self.of_token, minlength=self.segments.total)

    def tokens_of(self, groups: Tensor, of_tokens: Segments) -> tuple[Tensor, Segments]:
        """The ascending tokens of the chosen ``groups``, and how they are cut into samples."""
        chosen = torch.zeros(self.segments.total, dtype=torch.bool, device=groups.device)
        chosen[groups] = True
        tokens = chosen[self.of_token].nonzero()[:, 0]
        owners = of_tokens.ids(tokens.device)[tokens]
        counts = torch.bincount(owners, minlength=len(of_tokens))
        return tokens, Segments.of_lengths(counts.cpu())


class Groups(Part, slot="groups"):
    """A part that ties a batch's tokens into groups."""

    def of(self, packed: Packed) -> Grouping:
        raise NotImplementedError


class EachToken(Groups, kind="each"):
    """Every token on its own."""

    def of(self, packed: Packed) -> Grouping:
        return Grouping(packed.segments)


class AxisGroups(Groups, kind="axis"):
    """Tokens that share their coordinates along ``axes``: rows, columns, frames, bands."""

    axes: tuple[int, ...]

    def of(self, packed: Packed) -> Grouping:
        return equal_cells(packed, packed.coords[:, _checked(self.axes, packed)])


class TubeGroups(Groups, kind="tube"):
    """Tokens that share all coordinates but the first, which is time: one place at all times."""

    needs: ClassVar[frozenset[str]] = frozenset({"time"})

    def of(self, packed: Packed) -> Grouping:
        return equal_cells(packed, packed.coords[:, 1:])


class FrameGroups(Groups, kind="frame"):
    """Tokens that share the first coordinate, which is time: everything at one time."""

    needs: ClassVar[frozenset[str]] = frozenset({"time"})

    def of(self, packed: Packed) -> Grouping:
        return equal_cells(packed, packed.coords[:, :1])


class BlockGroups(Groups, kind="block"):
    """Tokens in the same box of ``size`` coordinate units along every axis (SimMIM's grid)."""

    size: float = Field(gt=0)

    def of(self, packed: Packed) -> Grouping:
        return equal_cells(packed, torch.floor(packed.coords / self.size))


def _checked(axes: tuple[int, ...], packed: Packed) -> list[int]:
    dims = packed.coords.shape[1]
    if not axes or any(not -dims <= axis < dims for axis in axes):
        raise BadConfig(
            "mask.groups.axes must name axes of the coordinates",
            found=axes,
            expected=f"integers from 0 to {dims - 1}",
        )
    return list(axes)


def equal_cells(packed: Packed, cells: Tensor) -> Grouping:
    """Tokens of one sample that have the same ``cells`` (T, n)."""
    owners = packed.segments.ids(packed.device)[:, None]
    places = torch.cat([owners.to(torch.float64), cells.to(torch.float64)], 1)
    unique, of_token = torch.unique(places, dim=0, return_inverse=True)
    counts = torch.bincount(unique[:, 0].long(), minlength=len(packed))
    return Grouping(Segments.of_lengths(counts.cpu()), of_token)
