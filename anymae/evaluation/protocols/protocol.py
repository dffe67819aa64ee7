"""Protocol: a way to predict labels of test samples from features, by name.

Shapes: n training samples, m test samples, d features, t targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError
from torch import Tensor

from anymae.data.sources import Source
from anymae.errors import BadConfig, unknown_name
from anymae.evaluation.metrics import Prediction
from anymae.evaluation.scores import Scores
from anymae.evaluation.views import Reading
from anymae.model import Model
from anymae.parts import Part, explain_invalid


@dataclass(frozen=True)
class Problem:
    """Standardised features ``x`` (n, d) with labels ``y``, and test features ``x_test`` (m, d).

    ``y`` is int64 (n,), positions among ``classes`` classes, or float32 (n, t) with ``classes`` 0.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    classes: int

    @property
    def is_classification(self) -> bool:
        """Whether labels are classes."""
        return self.classes > 0


class Protocol(Part, slot="protocol"):
    """A way to judge features. Subclasses with a ``kind`` are found by it."""

    tasks: ClassVar[frozenset[str]] = frozenset({"classification", "regression"})

    def run(self, problem: Problem, seed: int) -> Mapping[str, Sequence[Prediction]]:
        """Predictions for the test samples by setting, the decisive setting first. Several
        predictions of a setting are independent repetitions. A function of ``seed``."""
        raise NotImplementedError


class OwnProtocol(Protocol):
    """A protocol that asks something else than to predict given labels (forecasting, imputation):
    it reads the samples themselves and finds its own truth in them."""

    tasks: ClassVar[frozenset[str]] = frozenset()

    def scores(
        self, model: Model, train: Source, test: Source, *, reading: Reading, seeds: int, seed: int
    ) -> Scores:
        """The model beside raw data and ``seeds`` random encoders; a function of ``seed``."""
        raise NotImplementedError


def protocol_of(value: Any) -> Protocol:
    """A protocol from one, a name, or a mapping with a kind and fields. Raises ``BadConfig``."""
    if isinstance(value, str) and value not in Protocol.kinds():
        raise unknown_name("protocol", value, Protocol.kinds())
    try:
        return Protocol.resolve(value)
    except ValidationError as error:
        known = Protocol.kinds()[value["kind"]]
        raise explain_invalid(error, f"protocol {value['kind']!r}", known) from None


def refuse_task(protocol: Protocol, task: str) -> None:
    """Raise ``BadConfig`` if a protocol is not defined for a task."""
    if task not in protocol.tasks:
        fitting = sorted(
            name
            for name, kind in Protocol.kinds().items()
            if issubclass(kind, Protocol) and task in kind.tasks
        )
        raise BadConfig(
            f"protocol {protocol.kind!r} is not defined for {task}",
            expected=f"one of {', '.join(fitting)}",
        )
