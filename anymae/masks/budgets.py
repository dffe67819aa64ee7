"""Budgets: how many members of a sample are seen.

Shapes: B samples.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.errors import BadConfig
from anymae.parts import Part


class Budget(Part, slot="budget"):
    """A part that counts what is seen."""

    def seen(self, lengths: Tensor) -> Tensor:
        """(B,) int64 on the CPU from (B,) lengths: at least one seen, and at least one hidden
        wherever a sample has two or more members."""
        kept = torch.tensor([self.kept(n) for n in lengths.tolist()], dtype=torch.int64)
        return bounded(kept, lengths)

    def of(self, lengths: Tensor, keys: Tensor | None, done: float) -> Tensor:
        """``seen``, where it changes with the sample's key (B,) or the fraction ``done`` of a
        run."""
        return self.seen(lengths)

    def kept(self, length: int) -> int:
        """How many of ``length`` members are seen, before the bounds above."""
        raise NotImplementedError


def bounded(kept: Tensor, lengths: Tensor) -> Tensor:
    """At least one seen, and at least one hidden where there are two or more."""
    return torch.minimum(kept.clamp(min=1), (lengths - 1).clamp(min=1))


class RatioBudget(Budget, kind="ratio"):
    """A fixed fraction is hidden: floor(N (1 - ratio)) members are seen, as in MAE.

    In exact arithmetic: where MAE's float product falls just below a whole number (100 tokens at
    ratio 0.9 leave it 9), this keeps the whole number (10).
    """

    ratio: float = Field(gt=0, lt=1)

    def kept(self, length: int) -> int:
        return math.floor(length * (1 - self.ratio) + 1e-9)


class RangeBudget(Budget, kind="range"):
    """The hidden fraction is drawn anew for each sample, evenly between ``low`` and ``high``."""

    low: float = Field(gt=0, lt=1)
    high: float = Field(gt=0, lt=1)

    @property
    def ratio(self) -> float:
        """The mean hidden fraction."""
        return (self.low + self.high) / 2

    def of(self, lengths: Tensor, keys: Tensor | None, done: float) -> Tensor:
        if keys is None:
            raise BadConfig("mask.budget=range draws from the batch's keys, and it has none")
        coin = draws.uniform(keys.cpu(), torch.zeros_like(lengths), "mask/ratio")
        ratio = self.low + (self.high - self.low) * coin
        return bounded(torch.floor(lengths * (1 - ratio.double()) + 1e-9).long(), lengths)

    def kept(self, length: int) -> int:
        return math.floor(length * (1 - self.ratio) + 1e-9)


class RampBudget(Budget, kind="ramp"):
    """The hidden fraction goes from ``start`` to ``end`` in a straight line over the run."""

    start: float = Field(gt=0, lt=1)
    end: float = Field(gt=0, lt=1)

    @property
    def ratio(self) -> float:
        """The hidden fraction at the end."""
        return self.end

    def of(self, lengths: Tensor, keys: Tensor | None, done: float) -> Tensor:
        ratio = self.start + (self.end - self.start) * done
        return RatioBudget(ratio=ratio).seen(lengths)

    def kept(self, length: int) -> int:
        return math.floor(length * (1 - self.end) + 1e-9)


class CountBudget(Budget, kind="count"):
    """Exactly ``seen_count`` members are seen, however long the sample is."""

    seen_count: int = Field(gt=0)

    def kept(self, length: int) -> int:
        return self.seen_count
