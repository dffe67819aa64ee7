"""Grid: samples as rows and the places of their tokens as columns, with gaps.

Shapes: n samples, P places (distinct coordinates), F numbers a token, D numbers a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.tokens import OBSERVED, Packed

CHOICE = "choice"
"""The ``side`` entry (n,) bool of tokens whose content is one of several categories."""


@dataclass(frozen=True)
class Grid:
    """``values`` (n, P, F) where ``known`` (n, P, F); ``choice`` (P,) says which places hold one
    category of several."""

    values: Tensor
    known: Tensor
    choice: Tensor

    @property
    def there(self) -> Tensor:
        """(n, P) which tokens exist."""
        return self.known.any(2)

    def without(self, hidden: Tensor) -> Grid:
        """The grid with the tokens where ``hidden`` (n, P) gone."""
        return Grid(self.values, self.known & ~hidden[..., None], self.choice)

    def flat(self, slots: Tensor) -> Tensor:
        """(n, D) the numbers at ``slots`` (P, F), NaN where not known."""
        holes = torch.where(self.known, self.values, float("nan"))
        return holes[:, slots]

    def unflat(self, rows: Tensor, slots: Tensor) -> Tensor:
        """(n, P, F) from rows (n, D), 0 beside the slots."""
        values = self.values.new_zeros(len(rows), *slots.shape)
        values[:, slots] = rows.to(values.dtype)
        return values


def places_of(batches: Sequence[Packed]) -> Tensor:
    """(P, coords) the distinct coordinates of all tokens, sorted."""
    return torch.unique(torch.cat([packed.coords for packed in batches]), dim=0)


def grid_of(batches: Sequence[Packed], places: Tensor) -> Grid:
    """Samples as a grid; all their tokens must lie at ``places``."""
    rows = [_rows(packed, places) for packed in batches]
    values, known, choice = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return Grid(values, known, choice.any(0))


def place_index(packed: Packed, places: Tensor) -> Tensor:
    """(T,) the place of every token."""
    _, index = torch.unique(torch.cat([places, packed.coords]), dim=0, return_inverse=True)
    return index[len(places) :]


def _rows(packed: Packed, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shape = (len(packed), len(places), packed.values.shape[1])
    row, column = packed.segments.ids(packed.device), place_index(packed, places)
    values = packed.values.new_zeros(shape)
    known = torch.zeros(shape, dtype=torch.bool)
    choice = torch.zeros(shape[:2], dtype=torch.bool)
    observed = packed.side.get(OBSERVED)
    values[row, column] = packed.values
    known[row, column] = torch.ones_like(packed.values, dtype=torch.bool) if (
        observed is None
    ) else observed  # fmt: skip
    if CHOICE in packed.side:
        choice[row, column] = packed.side[CHOICE]
    return values, known, choice
