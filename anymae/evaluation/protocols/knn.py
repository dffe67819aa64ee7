"""Nearest neighbours by cosine similarity, weighted (Wu et al. 2018).

Shapes: n training samples, m test samples, k neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.evaluation.metrics import Prediction
from anymae.evaluation.protocols.protocol import Problem, Protocol

_AT_ONCE = 1 << 24


class NearestNeighbours(Protocol, kind="knn"):
    """The ``k`` training samples of highest cosine similarity (all, if there are fewer) vote for
    their class, or average their targets, with weights exp(similarity / ``temperature``)."""

    k: int = Field(default=20, gt=0)
    temperature: float = Field(default=0.07, gt=0)

    def run(self, problem: Problem, seed: int) -> Mapping[str, Sequence[Prediction]]:
        known = F.normalize(problem.x, dim=1)
        rows = max(1, _AT_ONCE // len(known))
        parts = [self._answers(known, part, problem) for part in problem.x_test.split(rows)]
        answers = torch.cat(parts)
        if problem.is_classification:
            return {"": [Prediction(answers.argmax(1), answers)]}
        return {"": [Prediction(answers)]}

    def _answers(self, known: Tensor, asked: Tensor, problem: Problem) -> Tensor:
        """(m, classes) shares of the vote, or (m, targets)."""
        similarity = F.normalize(asked, dim=1) @ known.T
        near, index = similarity.topk(min(self.k, len(known)), dim=1)
        weights = torch.softmax(near / self.temperature, 1)
        if problem.is_classification:
            votes = weights.new_zeros(len(asked), problem.classes)
            return votes.scatter_add_(1, problem.y[index], weights)
        return (weights[..., None] * problem.y[index]).sum(1)
