"""Ridge regression from features to horizons, in one pass over the data, shared by all channels.

A prediction is centre + spread * (weight x + bias) with the look-back's own centre and spread, so a
row enters as spread * (x, 1) with target future - centre: squared errors are those of forecasts.

Shapes: b examples, C channels, K features, H steps of a horizon, P penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.evaluation.forecasting.examples import Batch, Examples
from anymae.evaluation.forecasting.features import Features

AT_ONCE = 64


@dataclass(frozen=True)
class Forecast:
    """``weight`` (K + 1, H), the bias in its last row."""

    weight: Tensor
    penalty: float

    def of(self, features: Tensor, batch: Batch) -> Tensor:
        """(b, C, H) from (b, C, K), in units of the training data's deviation."""
        return batch.centre + _rows(features, batch.spread) @ self.weight


@dataclass
class Moments:
    """Sums of products over rows: inputs with inputs, inputs with targets, squared targets."""

    inputs: Tensor
    cross: Tensor
    squares: float = 0.0
    count: int = 0

    @classmethod
    def nothing(cls, features: int, horizon: int) -> Moments:
        """Before any row."""
        inputs = torch.zeros(features + 1, features + 1, dtype=torch.float64)
        return cls(inputs, torch.zeros(features + 1, horizon, dtype=torch.float64))

    def add(self, rows: Tensor, targets: Tensor) -> None:
        """Take (r, K + 1) and (r, H) in. In double precision: where features repeat one another,
        rounding would leave a matrix that has no root."""
        rows, targets = rows.double(), targets.double()
        self.inputs += rows.T @ rows
        self.cross += rows.T @ targets
        self.squares += float(targets.square().sum())
        self.count += len(rows)

    def joined(self, other: Moments) -> Moments:
        """Those of both."""
        return Moments(
            self.inputs + other.inputs,
            self.cross + other.cross,
            self.squares + other.squares,
            self.count + other.count,
        )

    def fitted(self, penalty: float) -> Tensor:
        """(K + 1, H) weights of least summed squared error plus ``penalty`` times the mean squared
        input, times the number of rows, times their squared norm; the bias is free."""
        matrix = self.inputs.clone()
        inner = matrix.diagonal()[:-1]
        inner += penalty * float(inner.mean())
        matrix.diagonal()[-1] += 1e-9 * float(matrix.diagonal()[-1])
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(matrix))

    def error(self, weight: Tensor) -> float:
        """The mean squared error of weights on these rows."""
        apart = (weight * (self.inputs @ weight - 2 * self.cross)).sum() + self.squares
        return float(apart) / (self.count * weight.shape[1])


def fitted(
    train: Examples, features: Features, penalties: Sequence[float], held: float
) -> Forecast:
    """Ridge on all of ``train``; the penalty is that of least error on its last fraction ``held``,
    among fits on what ends before that begins."""
    late = round(len(train) * (1 - held))
    early = max(1, late - train.horizon) if len(train) > 1 else 1
    parts: list[Moments] = []
    for which, batch in train.batches(AT_ONCE):
        rows, targets = _rows(features(batch), batch.spread), batch.future - batch.centre
        if not parts:
            parts = [Moments.nothing(rows.shape[2] - 1, train.horizon) for _ in range(3)]
        part = torch.from_numpy((which >= early).astype(int) + (which >= late))
        for number, moments in enumerate(parts):
            chosen = part == number
            if chosen.any():
                moments.add(rows[chosen].flatten(0, 1), targets[chosen].flatten(0, 1))
    first, gap, last = parts
    penalty = penalties[0]
    if len(penalties) > 1 and last.count:
        errors = [last.error(first.fitted(one)) for one in penalties]
        penalty = penalties[errors.index(min(errors))]
    return Forecast(first.joined(gap).joined(last).fitted(penalty).float(), penalty)


def _rows(features: Tensor, spread: Tensor) -> Tensor:
    """(b, C, K + 1): features and 1, times the look-back's spread."""
    return torch.cat([features * spread, spread], 2)
