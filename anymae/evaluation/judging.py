"""Judging: a protocol applied to several kinds of features of the same samples.

Shapes: n test samples, R resamples, s repeated encoders, r repeated draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anymae.evaluation.intervals import RESAMPLES, interval, resampled, t_half_width
from anymae.evaluation.metrics import Metric, Prediction
from anymae.evaluation.protocols import Problem, Protocol
from anymae.evaluation.scores import Score
from anymae.evaluation.views import View


@dataclass(frozen=True)
class Truth:
    """The labels of both sets: int64 (n,) with ``classes``, or float32 (n, t) without."""

    task: str
    y: Tensor
    y_test: Tensor
    classes: int


@dataclass(frozen=True)
class Judged:
    """Features of one kind, judged in the decisive ``setting`` (empty if there is only one):
    values on resamples (R,), and how far chance in the repeated encoders and draws goes."""

    setting: str
    score: Score
    boot: Tensor
    spread: float

    def over(self, other: Judged, metric: Metric) -> Score:
        """The difference to other features, on the same test samples and resamples."""
        value = self.score.value - other.score.value
        widest = metric.bounds[1] - metric.bounds[0]
        spread = math.hypot(self.spread, other.spread)
        found = interval(value, self.boot - other.boot, spread, (-widest, widest))
        return Score(value, found, f"the same {other.score.how}")


@dataclass(frozen=True)
class Judge:
    """A protocol, the truth it is held against, and the metric."""

    protocol: Protocol
    truth: Truth
    metric: Metric
    seed: int

    def judged(self, views: Sequence[View]) -> Judged:
        """Features of one kind; several views are repeated encoders. Settings of the protocol
        other than the decisive one are among the details."""
        problems = (Problem(v.train, self.truth.y, v.test, self.truth.classes) for v in views)
        found = [self.protocol.run(problem, self.seed) for problem in problems]
        decisive, *others = (self._setting(name, [one[name] for one in found]) for name in found[0])
        details = {**decisive.score.details, **{one.setting: one.score for one in others}}
        return replace(decisive, score=replace(decisive.score, details=details))

    def _setting(self, name: str, repeated: Sequence[Sequence[Prediction]]) -> Judged:
        """One setting's predictions by encoder and draw."""
        truth = self.truth.y_test

        def each(weights: Tensor) -> Tensor:
            return torch.stack([
                torch.stack([self.metric.weighted(truth, one, weights) for one in runs])
                for runs in repeated
            ])  # fmt: skip

        values = each(torch.ones(1, len(truth)).double())[..., 0]  # (s, r)
        boot = resampled(lambda weights: each(weights).mean((0, 1)), len(truth), self.seed)
        spread = math.hypot(t_half_width(values.mean(1)), t_half_width(values.mean(0)))
        value = float(values.mean())
        found = interval(value, boot, spread, self.metric.bounds)
        score = Score(value, found, _how(truth, *values.shape), self._details(repeated))
        return Judged(name, score, boot, spread)

    def _details(self, repeated: Sequence[Sequence[Prediction]]) -> Mapping[str, float]:
        every = [self.metric.details(self.truth.y_test, one) for runs in repeated for one in runs]
        return {name: sum(one[name] for one in every) / len(every) for name in every[0]}


def _how(truth: Tensor, encoders: int, draws: int) -> str:
    parts = [f"{RESAMPLES} resamples of {len(truth)} test samples"]
    if encoders > 1:
        parts.append(f"{encoders} random encoders")
    if draws > 1:
        parts.append(f"{draws} draws of training samples")
    return ", ".join(parts)
