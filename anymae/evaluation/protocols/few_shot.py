"""Few-shot classification: what a handful of labelled samples of each class are worth.

Shapes: n training samples, s shots, c classes, m test samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor

from anymae import draws
from anymae.evaluation.fits import logistic
from anymae.evaluation.metrics import Prediction
from anymae.evaluation.protocols.protocol import Problem, Protocol


class FewShot(Protocol, kind="few-shot"):
    """Classes from ``shots`` samples each, over ``repeats`` seeded draws of them.

    ``classifier="mean"`` compares with each class's mean by cosine similarity (prototypes, Snell
    et al. 2017), ``"logistic"`` fits a logistic regression with penalty 1. Numbers of shots that
    some class cannot supply are left out (if all are, the smallest class sets it); the largest one
    left decides.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"classification"})

    shots: tuple[PositiveInt, ...] = Field(default=(1, 5, 10), min_length=1)
    repeats: int = Field(default=20, gt=0)
    classifier: Literal["mean", "logistic"] = "mean"

    def run(self, problem: Problem, seed: int) -> Mapping[str, Sequence[Prediction]]:
        most = int(torch.bincount(problem.y, minlength=problem.classes).min())
        able = {shots for shots in self.shots if shots <= most} or {most}
        return {
            f"{shots}-shot": [self._once(problem, shots, seed, i) for i in range(self.repeats)]
            for shots in sorted(able, reverse=True)
        }

    def _once(self, problem: Problem, shots: int, seed: int, repeat: int) -> Prediction:
        chosen = _drawn(problem, shots, seed, repeat)  # (c, s)
        x = problem.x[chosen]
        if self.classifier == "mean":
            prototypes = F.normalize(x.mean(1), dim=1)
            scores = F.normalize(problem.x_test, dim=1) @ prototypes.T
            return Prediction(scores.argmax(1), scores)
        y = torch.arange(problem.classes).repeat_interleave(shots)
        return logistic(x.flatten(0, 1), y, problem.classes, 1.0).of(problem.x_test)


def _drawn(problem: Problem, shots: int, seed: int, repeat: int) -> Tensor:
    """(c, s) indices of training samples."""
    generator = draws.generator(seed, "few-shot", shots, repeat)
    rows = []
    for code in range(problem.classes):
        members = (problem.y == code).nonzero().flatten()
        rows.append(members[torch.randperm(len(members), generator=generator)[:shots]])
    return torch.stack(rows)
