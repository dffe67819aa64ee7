"""How far forecasts are from what came, with intervals that know that windows overlap.

Shapes: n examples, C channels, H steps of a horizon, G blocks, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from anymae.evaluation.forecasting.examples import Batch, Examples
from anymae.evaluation.intervals import interval, resampled, t_half_width
from anymae.evaluation.scores import Score

AT_ONCE = 64
BOUNDS = (0.0, float("inf"))


@dataclass(frozen=True)
class Errors:
    """Mean squared and absolute errors (n,) of each example, in units of the training data's
    deviation."""

    squared: Tensor
    absolute: Tensor


def errors_of(test: Examples, predict: Callable[[Batch], Tensor]) -> Errors:
    """``predict`` gives (b, C, H)."""
    squared, absolute = [], []
    for _, batch in test.batches(AT_ONCE):
        apart = (predict(batch) - batch.future).double()
        squared.append(apart.square().mean((1, 2)))
        absolute.append(apart.abs().mean((1, 2)))
    return Errors(torch.cat(squared), torch.cat(absolute))


def last_value(batch: Batch) -> Tensor:
    """The last known value, repeated: the simplest forecast."""
    return batch.past[:, :, -1:].expand_as(batch.future)


@dataclass(frozen=True)
class Judged:
    """The mean squared error of one kind of features; several ``runs`` are repeated encoders."""

    runs: Sequence[Errors]
    block: int
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def score(self) -> Score:
        """With an interval over blocks of consecutive examples: neighbours share most of their
        steps, and are no independent evidence."""
        value, boot, spread = self._parts()
        figures = {"mae": float(self._mean("absolute")), **self.details}
        return Score(value, interval(value, boot, spread, BOUNDS), self.how, figures)

    def over(self, other: Judged) -> Score:
        """The difference to other features on the same examples and resamples."""
        mine, theirs = self._parts(), other._parts()
        value = mine[0] - theirs[0]
        spread = (mine[2] ** 2 + theirs[2] ** 2) ** 0.5
        found = interval(value, mine[1] - theirs[1], spread, (-BOUNDS[1], BOUNDS[1]))
        return Score(value, found, f"the same {other.how}")

    @property
    def how(self) -> str:
        """What the interval is over."""
        count = len(self.runs[0].squared)
        blocks = -(-count // self.block)
        said = f"1000 resamples of {blocks} blocks of {self.block} test windows"
        return f"{said}, {len(self.runs)} random encoders" if len(self.runs) > 1 else said

    def _mean(self, name: str) -> Tensor:
        return torch.stack([getattr(run, name).mean() for run in self.runs]).mean()

    def _parts(self) -> tuple[float, Tensor, float]:
        each = torch.stack([run.squared for run in self.runs])  # (s, n)
        mean = each.mean(0)
        sums = torch.stack([part.sum() for part in mean.split(self.block)])
        counts = torch.tensor([float(len(part)) for part in mean.split(self.block)]).double()
        boot = resampled(lambda w: (w @ sums) / (w @ counts), len(sums), self.seed)
        return float(mean.mean()), boot, t_half_width(each.mean(1))
