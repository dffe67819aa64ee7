"""Plan: which samples belong to which step. A pure function; there is no loader state to save.

The order of an epoch is a permutation drawn from (seed, epoch); a step takes the next samples of
that endless sequence. The plan does not know ranks or workers: they take slices of its lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch

from anymae import draws

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """``total`` draws of samples out of ``samples``, ``batch`` at a time."""

    samples: int
    batch: int
    total: int
    seed: int

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run; the last may be short."""
        return math.ceil(self.total / self.batch)

    def draw(self, step: int) -> list[tuple[int, int]]:
        """The (epoch, sample index) pairs of a step's global batch."""
        stop = min((step + 1) * self.batch, self.total)
        places = (divmod(p, self.samples) for p in range(step * self.batch, stop))
        return [
            (epoch, int(_order(self.samples, self.seed, epoch)[place])) for epoch, place in places
        ]


def share(items: list[Item], rank: int, world: int) -> list[Item]:
    """The slice of a global batch that one of ``world`` ranks computes; sizes differ by one."""
    return items[len(items) * rank // world : len(items) * (rank + 1) // world]


@lru_cache(maxsize=4)
def _order(samples: int, seed: int, epoch: int) -> torch.Tensor:
    return torch.randperm(samples, generator=draws.generator(seed, epoch, "order"))
