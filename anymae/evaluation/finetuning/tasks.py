"""Tasks of fine-tuning: what labels become, how answers are scored and given back.

Shapes: n samples, c classes, t targets.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anymae.evaluation.labels import Labelled, classes_of, codes_of, numbers_of
from anymae.evaluation.metrics import Accuracy, Determination, Prediction


class Classification(BaseModel):
    """One of ``classes``, sorted, as the user wrote them; ``names`` if integers stand for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: ClassVar[str] = Accuracy.name
    head_std: ClassVar[float] = 2e-5

    kind: Literal["classification"] = "classification"
    classes: tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, data: Labelled) -> Self:
        """The task that labels set. Raises ``BadInput``."""
        return cls(classes=tuple(classes_of(data).tolist()), names=data.names)

    @property
    def outputs(self) -> int:
        """Numbers the head gives for a sample."""
        return len(self.classes)

    def targets(self, data: Labelled) -> Tensor:
        """(n, c) one-hot. Raises ``BadInput`` for classes unseen in training."""
        codes = codes_of(data.named(self.names), np.asarray(self.classes))
        return F.one_hot(torch.from_numpy(codes), self.outputs).float()

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Mean cross entropy of (n, c) outputs."""
        return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)

    def answers(self, outputs: Tensor) -> np.ndarray:
        """(n,) the users' own labels from (n, c)."""
        return np.asarray(self.classes)[outputs.argmax(1).numpy()]

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """Accuracy."""
        return Accuracy().of(targets.argmax(1), Prediction(outputs.argmax(1)))


class Regression(BaseModel):
    """Numbers, standardised inside by their ``mean`` and ``std`` (t,); ``flat`` if labels were a
    vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: ClassVar[str] = Determination.name
    head_std: ClassVar[float] = 0.01

    kind: Literal["regression"] = "regression"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flat: bool

    @classmethod
    def of(cls, data: Labelled) -> Self:
        """The task that labels set. Raises ``BadInput``."""
        values = numbers_of(data).astype(np.float64)
        deviation = values.std(0)
        return cls(
            mean=tuple(values.mean(0).tolist()),
            std=tuple(np.where(deviation > 0, deviation, 1.0).tolist()),
            flat=data.values.ndim == 1,
        )

    @property
    def outputs(self) -> int:
        """Numbers the head gives for a sample."""
        return len(self.mean)

    def targets(self, data: Labelled) -> Tensor:
        """(n, t) standardised. Raises ``BadInput``."""
        values = torch.from_numpy(numbers_of(data, self.outputs)).double()
        return ((values - torch.tensor(self.mean)) / torch.tensor(self.std)).float()

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Mean squared error of (n, t) outputs."""
        return F.mse_loss(outputs.float(), targets)

    def answers(self, outputs: Tensor) -> np.ndarray:
        """(n,) or (n, t) float32 in the labels' own units, from (n, t)."""
        values = outputs.double() * torch.tensor(self.std) + torch.tensor(self.mean)
        rows: np.ndarray = values.float().numpy()
        return rows[:, 0] if self.flat else rows

    def score(self, outputs: Tensor, targets: Tensor) -> float:
        """R2, averaged over targets."""
        return Determination().of(targets, Prediction(outputs))


Task = Annotated[Classification | Regression, Field(discriminator="kind")]
TASKS: dict[str, Any] = {"classification": Classification, "regression": Regression}
