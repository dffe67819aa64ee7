"""The linear probe: logistic or ridge regression on frozen features.

Shapes: n training samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from anymae.evaluation.fits import logistic, ridge
from anymae.evaluation.labels import hold_out
from anymae.evaluation.metrics import Prediction, metric_of
from anymae.evaluation.protocols.protocol import Problem, Protocol

CHOOSE_ON = 25_000
"""The penalty is chosen on at most this many samples."""


class LinearProbe(Protocol, kind="linear"):
    """Multinomial logistic regression (classes) or ridge regression (numbers).

    The L2 penalty on the summed loss (scikit-learn's 1 / C) is the one of ``penalties`` that does
    best on a fifth of the training samples held out, ties to the stronger; then all are used.
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
        metric = metric_of("classification" if problem.is_classification else "regression")
        part = torch.arange(0, len(problem.x), max(1, len(problem.x) // CHOOSE_ON))
        x, y = problem.x[part], problem.y[part]
        codes = y.numpy() if problem.is_classification else None
        held = torch.from_numpy(hold_out(len(x), codes, seed))
        if not held.any():
            return penalties[0]
        scores = [
            metric.of(y[held], _fitted(x[~held], y[~held], problem, penalty).of(x[held]))
            for penalty in penalties
        ]
        return penalties[max(range(len(scores)), key=lambda i: (scores[i], -i))]


def _fitted(x: Tensor, y: Tensor, problem: Problem, penalty: float):
    if problem.is_classification:
        return logistic(x, y, problem.classes, penalty)
    return ridge(x, y, penalty)
