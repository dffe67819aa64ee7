"""Metrics: how good predictions are, on the test samples or on weighted resamples of them.

Shapes: n test samples, c classes, t targets, r resamples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """``values`` (n,) int64 class positions, or (n, t) numbers; ``scores`` (n, c), higher for
    likelier classes, where the protocol has them."""

    values: Tensor
    scores: Tensor | None = None


class Metric(ABC):
    """A figure of merit, higher is better."""

    name: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]

    @abstractmethod
    def weighted(self, truth: Tensor, prediction: Prediction, weights: Tensor) -> Tensor:
        """(r,) values where sample i counts ``weights[:, i]`` times, weights (r, n)."""

    @abstractmethod
    def details(self, truth: Tensor, prediction: Prediction) -> dict[str, float]:
        """Further figures on the test samples."""

    def of(self, truth: Tensor, prediction: Prediction) -> float:
        """The value on the test samples."""
        return float(self.weighted(truth, prediction, torch.ones(1, len(truth)).double())[0])


class Accuracy(Metric):
    """The share of samples whose class is right."""

    name = "accuracy"
    bounds = (0.0, 1.0)

    def weighted(self, truth: Tensor, prediction: Prediction, weights: Tensor) -> Tensor:
        return weights @ (prediction.values == truth).double() / len(truth)

    def details(self, truth: Tensor, prediction: Prediction) -> dict[str, float]:
        """``balanced_accuracy``, and for two classes ``auc`` (area under the ROC curve)."""
        right = (prediction.values == truth).double()
        present = truth.unique().tolist()
        recalls = torch.stack([right[truth == one].mean() for one in present])
        found = {"balanced_accuracy": float(recalls.mean())}
        scores = prediction.scores
        if scores is not None and scores.shape[1] == 2 and len(present) == 2:
            found["auc"] = _area_under_curve(truth, scores[:, 1] - scores[:, 0])
        return found


class Determination(Metric):
    """R2, the share of variance explained, averaged over targets."""

    name = "R2"
    bounds = (float("-inf"), 1.0)

    def weighted(self, truth: Tensor, prediction: Prediction, weights: Tensor) -> Tensor:
        truth, guess = truth.double(), prediction.values.double()
        residual = weights @ (truth - guess).square()
        truth = truth - truth.mean(0)
        total = weights @ truth.square() - (weights @ truth).square() / len(truth)
        return (1 - residual / total.clamp(min=1e-12)).mean(1)

    def details(self, truth: Tensor, prediction: Prediction) -> dict[str, float]:
        """``rmse`` and ``mae`` in the targets' own units."""
        error = truth.double() - prediction.values.double()
        return {"rmse": float(error.square().mean().sqrt()), "mae": float(error.abs().mean())}


def metric_of(kind: str) -> Metric:
    """The metric of a kind of task."""
    return Accuracy() if kind == "classification" else Determination()


def _area_under_curve(truth: Tensor, score: Tensor) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth.numpy(), score.double().numpy()))
