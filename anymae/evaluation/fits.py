"""Fits: penalised linear models, solved to convergence on the full data.

Shapes: n samples, d features, c classes, t targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anymae.evaluation.metrics import Prediction


@dataclass(frozen=True)
class Linear:
    """x @ ``weight`` (d, c or t) + ``bias``; the largest output is the class."""

    weight: Tensor
    bias: Tensor
    is_classifier: bool

    def of(self, x: Tensor) -> Prediction:
        """Predictions for (n, d) features."""
        outputs = torch.addmm(self.bias, x, self.weight)
        if self.is_classifier:
            return Prediction(outputs.argmax(1), outputs)
        return Prediction(outputs)


def logistic(x: Tensor, y: Tensor, classes: int, penalty: float, iterations: int = 200) -> Linear:
    """Multinomial logistic regression: the minimum over W (d, c) and b (c,) of the summed cross
    entropy of x (n, d), y (n,) plus ``penalty`` / 2 |W|^2, b being free.

    Full-batch L-BFGS (Liu and Nocedal 1989) in coordinates in which the loss is about round:
    W = P V with P the inverse root of an approximate Hessian, which takes some fifteen steps where
    plain coordinates take a hundred.
    """
    penalty = penalty / len(x)
    values, vectors = torch.linalg.eigh((x.T @ x / len(x)).double())
    curvature = values.clamp(min=0) * (1 - 1 / classes) / classes + penalty
    shape = (vectors * curvature.clamp(min=1e-10).rsqrt()).float()
    turned = x @ shape
    free = x.new_zeros(x.shape[1], classes, requires_grad=True)
    bias = x.new_zeros(classes, requires_grad=True)
    solver = torch.optim.LBFGS(
        [free, bias],
        max_iter=iterations,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(torch.addmm(bias, turned, free), y)
        value = value + 0.5 * penalty * (shape @ free).square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)
    return Linear(shape @ free.detach(), bias.detach(), is_classifier=True)


def ridge(x: Tensor, y: Tensor, penalty: float) -> Linear:
    """Ridge regression: the minimum over W (d, t) and b (t,) of half the summed squared error of
    x (n, d), y (n, t) plus ``penalty`` / 2 |W|^2, b being free."""
    mean, offset = x.double().mean(0), y.double().mean(0)
    centred = x.double() - mean
    gram = centred.T @ centred
    gram.diagonal().add_(penalty)
    weight = torch.linalg.solve(gram, centred.T @ (y.double() - offset))
    return Linear(weight.float(), (offset - mean @ weight).float(), is_classifier=False)
