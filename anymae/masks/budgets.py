"""Budgets: how many members of a sample are seen.

Shapes: B samples.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from anymae.parts import Part


class Budget(Part, slot="budget"):
    """A part that counts what is seen."""

    def seen(self, lengths: Tensor) -> Tensor:
        """(B,) int64 on the CPU from (B,) lengths: at least one seen, and at least one hidden
        wherever a sample has two or more members."""
        kept = torch.tensor([self.kept(n) for n in lengths.tolist()], dtype=torch.int64)
        return torch.minimum(kept.clamp(min=1), (lengths - 1).clamp(min=1))

    def kept(self, length: int) -> int:
        """How many of ``length`` members are seen, before the bounds above."""
        raise NotImplementedError


class RatioBudget(Budget, kind="ratio"):
    """A fixed fraction is hidden: floor(N (1 - ratio)) members are seen, as in MAE.

    In exact arithmetic: where MAE's float product falls just below a whole number (100 tokens at
    ratio 0.9 leave it 9), this keeps the whole number (10).
    """

    ratio: float = Field(gt=0, lt=1)

    def kept(self, length: int) -> int:
        return math.floor(length * (1 - self.ratio) + 1e-9)


class CountBudget(Budget, kind="count"):
    """Exactly ``seen_count`` members are seen, however long the sample is."""

    seen_count: int = Field(gt=0)

    def kept(self, length: int) -> int:
        return self.seen_count
