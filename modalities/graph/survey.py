"""A look at the numbers of nodes or edges: categories, quantities or bags of words?

Shapes: n rows (nodes, or edges), C columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.errors import BadInput
from anymae.modalities.graph.features import Features, Kind

MOST_CODES = 1000
"""Whole numbers with more values than this in a column are quantities, not categories."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of what is known of each column, (C,) each."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, table: Tensor) -> Moments:
        known = ~table.isnan()
        count = known.sum(0)
        mean = table.double().nan_to_num().sum(0) / count.clamp(min=1)
        return cls(count, mean, ((table.double() - mean) * known).nan_to_num().square().sum(0))

    def plus(self, other: Moments) -> Moments:
        """Those of both together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        apart, share = other.mean - self.mean, other.count / count.clamp(min=1)
        squares = self.squares + other.squares + apart.square() * self.count * share
        return Moments(count, self.mean + apart * share, squares)


class Survey:
    """Looks at (n, C) tables one after another; ``where`` names them in errors.

    Unless ``kind`` says so, numbers that are all 0 or 1, or at least half 0 and never negative
    (bags of words), are centred, those of an integer type are categories, and others are
    standardised. Raises ``BadInput`` if tables differ in C.
    """

    def __init__(self, where: str, kind: Kind | None) -> None:
        self.where, self.kind = where, kind
        self.tables = self.numbers = self.zeros = self.unknown = 0
        self.binary = self.positive = self.whole = True
        self.codes: list[Tensor] = []
        self.moments: Moments | None = None

    def add(self, table: Tensor) -> None:
        if self.moments is not None and table.shape[1] != len(self.moments.mean):
            raise BadInput(
                "graphs disagree on how many there are",
                where=self.where,
                found=table.shape[1],
                expected=f"{len(self.moments.mean)}, as in the graphs before",
            )
        self.tables += 1
        self.numbers += table.numel()
        self.zeros += int((table == 0).sum())
        self.unknown += int(table.isnan().sum())
        known = table[~table.isnan()]
        self.binary &= bool(((known == 0) | (known == 1)).all())
        self.positive &= bool((known >= 0).all())
        self.whole &= not table.dtype.is_floating_point
        if self.kind == "one-hot" or (self.kind is None and self.whole):
            self._add_codes(table)
        found = Moments.of(table)
        self.moments = found if self.moments is None else self.moments.plus(found)

    def _add_codes(self, table: Tensor) -> None:
        if not bool((table.nan_to_num() == table.nan_to_num().long()).all()):
            raise BadInput("categories must be whole numbers", where=self.where)
        columns = [column[~column.isnan()].long().unique() for column in table.T]
        before = self.codes or columns
        self.codes = [torch.cat(p).unique() for p in zip(before, columns, strict=True)]

    def features(self, missing: bool | None) -> Features:
        """What was found. Raises ``BadInput`` if there was nothing, or nothing that varies."""
        if self.moments is None or not self.numbers:
            raise BadInput("there is nothing to learn from", where=self.where, found="no numbers")
        kind = self.kind or self._kind()
        codes = tuple(tuple(column.tolist()) for column in self.codes) if kind == "one-hot" else ()
        if any(len(column) > MOST_CODES for column in codes):
            raise BadInput(
                f"a category has more than {MOST_CODES} values", where=self.where,
                hint="Use modality_options features=standardise, or edge_features.",
            )  # fmt: skip
        mean, std = (), ()
        if kind in ("standardise", "centre"):
            variance = self.moments.squares / self.moments.count.clamp(min=1)
            deviation = torch.ones_like(variance) if kind == "centre" else variance.sqrt()
            still = deviation <= 1e-12 * self.moments.mean.abs()
            mean = tuple(self.moments.mean.tolist())
            std = tuple(deviation.where(~still, 1.0).tolist())
        return Features(
            kind=kind, columns=len(self.moments.mean), codes=codes, mean=mean, std=std,
            missing=self.unknown > 0 if missing is None else missing,
        )  # fmt: skip

    def _kind(self) -> Kind:
        if self.binary or (self.positive and not self.whole and 2 * self.zeros >= self.numbers):
            return "centre"
        few = all(len(column) <= MOST_CODES for column in self.codes)
        return "one-hot" if self.whole and few else "standardise"
