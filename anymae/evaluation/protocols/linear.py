"""The linear probe: logistic or ridge regression on frozen features.

Shapes: n training samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.evaluation.fits import Linear, logistic, ridge
from anymae.evaluation.labels import hold_out
from anymae.evaluation.metrics import Prediction
from anymae.evaluation.protocols.protocol import Problem, Protocol

CHOOSE_ON = 10_000
"""The penalty is chosen on at most this many samples."""


class LinearProbe(Protocol, kind="linear"):
    """Multinomial logistic regression (classes) or ridge regression (numbers).

    The L2 penalty on the summed loss (scikit-learn's 1 / C) is the one of ``penalties`` with the
    lowest loss on a fifth of the training samples held out; then all are used.
    """

    penalties: tuple[float, ...] = Field(default=(1e4, 1e3, 1e2, 1e1, 1.0, 0.1), min_length=1)

    def run(self, problem: Problem, seed: int) -> Mapping[str, Sequence[Prediction]]:
        penalty = self._chosen(problem, seed)
        return {"": [_fitted(problem.x, problem.y, problem, penalty).of(problem.x_test)]}

    def _chosen(self, problem: Problem, seed: int) -> float:
        penalties = sorted(self.penalties, reverse=True)
        few = len(problem.x) < 5
        if len(penalties) == 1 or few:
            return penalties[0]
        part = torch.arange(0, len(problem.x), max(1, len(problem.x) // CHOOSE_ON))
        x, y = problem.x[part], problem.y[part]
        codes = y.numpy() if problem.is_classification else None
        held = torch.from_numpy(hold_out(len(x), codes, seed))
        if not held.any():
            return penalties[0]
        losses = [
            _loss(_fitted(x[~held], y[~held], problem, penalty).of(x[held]), y[held])
            for penalty in penalties
        ]
        return penalties[losses.index(min(losses))]


def _loss(prediction: Prediction, y: Tensor) -> float:
    """Cross entropy or mean squared error: both vary smoothly where accuracy jumps."""
    if prediction.scores is None:
        return float(F.mse_loss(prediction.values, y))
    return float(F.cross_entropy(prediction.scores, y))


def _fitted(x: Tensor, y: Tensor, problem: Problem, penalty: float) -> Linear:
    if problem.is_classification:
        return logistic(x, y, problem.classes, penalty)
    return ridge(x, y, penalty)
