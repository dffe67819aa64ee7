"""The support vector machines of point-cloud and graph papers, for small sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from anymae.errors import BadConfig
from anymae.evaluation.metrics import Prediction
from anymae.evaluation.protocols.protocol import Problem, Protocol


class SupportVectors(Protocol, kind="svm"):
    """scikit-learn's LinearSVC, or with ``kernel="rbf"`` its SVC (with gamma 1 / d, as features are
    standardised). C is chosen from ``costs`` by stratified cross-validation with ``folds`` folds
    inside the training samples (fewer if a class is smaller; the first C if one has a single
    sample); None: 0.001 to 1, and 0.1 to 100 with a kernel. Raises ``BadConfig`` above ``limit``
    training samples."""

    tasks: ClassVar[frozenset[str]] = frozenset({"classification"})

    kernel: Literal["linear", "rbf"] = "linear"
    costs: tuple[float, ...] | None = Field(default=None, min_length=1)
    folds: int = Field(default=5, ge=2)
    limit: int = Field(default=20_000, gt=0)

    def run(self, problem: Problem, seed: int) -> Mapping[str, Sequence[Prediction]]:
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.svm import SVC, LinearSVC

        if len(problem.x) > self.limit:
            raise BadConfig(
                "protocol 'svm' is for small sets",
                found=f"{len(problem.x)} training samples",
                expected=f"at most {self.limit}",
                hint="Use protocol='linear'.",
            )
        x, y = problem.x.double().numpy(), problem.y.numpy()
        folds = min(self.folds, int(torch.bincount(problem.y).min()))
        if self.kernel == "linear":
            costs = self.costs or (1e-3, 1e-2, 1e-1, 1.0)
            machine = LinearSVC(C=costs[0], dual=False, max_iter=10_000)
        else:
            costs = self.costs or (1e-1, 1.0, 1e1, 1e2)
            machine = SVC(C=costs[0], gamma=1 / x.shape[1])
        if folds >= 2 and len(costs) > 1:
            split = StratifiedKFold(folds, shuffle=True, random_state=seed)
            machine = GridSearchCV(machine, {"C": list(costs)}, cv=split)
        machine.fit(x, y)
        scores = torch.from_numpy(machine.decision_function(problem.x_test.double().numpy()))
        if scores.ndim == 1:
            scores = torch.stack([-scores, scores], 1)
        return {"": [Prediction(scores.argmax(1), scores)]}
