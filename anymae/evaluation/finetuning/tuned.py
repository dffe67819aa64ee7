"""FineTuned: a fine-tuned model that answers in the users' own labels.

Shapes: n samples, c classes, t targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from anymae import storage
from anymae.config import validated
from anymae.data.sources import Source, open_source
from anymae.errors import AnyMAEError, BadConfig, CheckpointError
from anymae.evaluation.finetuning.config import FinetuneConfig
from anymae.evaluation.finetuning.network import Network
from anymae.evaluation.finetuning.tasks import Classification, Task
from anymae.evaluation.labels import labelled
from anymae.inference import batches_of
from anymae.model import ModelConfig
from anymae.precision import Precision, autocast
from anymae.registry import modality

KIND = "finetuned"
"""What ``config.json`` calls itself, beside models that have no ``kind``."""


class _Saved(BaseModel):
    """``config.json`` of a fine-tuned model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: str
    task: Task
    options: FinetuneConfig
    model: ModelConfig
    history: list[dict[str, float]]


class FineTuned:
    """A fine-tuned model: ``network`` (on the CPU, in eval mode), ``task`` (with ``classes``),
    ``config`` and ``history``, a list of dicts: step, epoch, lr, loss, validation figures."""

    def __init__(
        self, network: Network, task: Task, config: FinetuneConfig, history: list[dict[str, float]]
    ) -> None:
        self.network = network
        self.task = task
        self.config = config
        self.history = history

    def predict(self, dataset: Any, batch_size: int | None = None) -> np.ndarray:
        """(n,) classes as the training labels named them; or float32 (n,) or (n, t) in the units
        of the training labels. Raises ``BadInput``."""
        return self.task.answers(self._outputs(dataset, batch_size))

    def predict_proba(self, dataset: Any, batch_size: int | None = None) -> np.ndarray:
        """(n, c) float32 probabilities, columns in the order of ``task.classes``. Raises
        ``BadConfig`` for regression, ``BadInput``."""
        if not isinstance(self.task, Classification):
            raise BadConfig("only classification has probabilities", found=self.task.kind)
        return self._outputs(dataset, batch_size).softmax(1).numpy()

    def score(self, dataset: Any, batch_size: int | None = None) -> float:
        """Accuracy or R2 on a data set with labels. Raises ``BadInput``."""
        data = labelled(dataset, self.network.adapter, role="test")
        targets = self.task.targets(data)
        return self.task.score(self._outputs(data.source, batch_size), targets)

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors``; they appear complete or not at all, and
        replace an older folder. Raises ``CheckpointError``."""
        saved = _Saved(
            format=storage.FORMAT,
            kind=KIND,
            task=self.task,
            options=self.config,
            model=self.network.config,
            history=self.history,
        )
        return storage.write_model_folder(Path(folder), saved, self.network.state_dict())

    @classmethod
    def load(cls, folder: str | Path) -> FineTuned:
        """A fine-tuned model from its folder. Raises ``CheckpointError`` if anything is missing,
        damaged or does not fit."""
        folder = Path(folder)
        path = folder / "config.json"
        if storage.read_json(path).get("kind") == "forecaster":
            from anymae.evaluation.forecasting.forecaster import Forecaster

            return Forecaster.load(folder)
        saved = _read(path)
        try:
            with torch.device("meta"):  # so that a configuration of absurd size costs nothing
                shape = _network(saved)
        except AnyMAEError as error:
            raise CheckpointError(str(error), where=path) from None
        wanted = storage.shapes_of(shape.state_dict())
        tensors = storage.read_tensors(folder / "model.safetensors", wanted)
        network = _network(saved)
        network.load_state_dict(tensors)
        return cls(network.eval(), saved.task, saved.options, saved.history)

    def _outputs(self, dataset: Any, batch_size: int | None) -> Tensor:
        return outputs_of(self.network, open_source(dataset, self.network.adapter), batch_size)


@torch.no_grad()
def outputs_of(
    network: Network, source: Source, batch_size: int | None = None, precision: Precision = "fp32"
) -> Tensor:
    """(n, outputs) float32 on the CPU, of samples as they are."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    parts = []
    try:
        for packed in batches_of(network.backbone, source, batch_size):
            with autocast(device, precision):
                parts.append(network(packed.to(device)).float().cpu())
    finally:
        network.train(was_training)
    return torch.cat(parts)


def _network(saved: _Saved) -> Network:
    config = saved.model
    adapter = validated(modality(config.modality), config.adapter, "adapter")
    return Network(adapter, config.recipe, config.encoder, saved.task.outputs, saved.options.pool)


def _read(path: Path) -> _Saved:
    fields = storage.read_json(path)
    version = fields.get("format")
    if fields.get("kind") != KIND:
        raise CheckpointError(
            "not a fine-tuned model",
            where=path,
            found=f"kind {fields.get('kind')!r}",
            hint="Models from pretraining are loaded with anymae.load.",
        )
    if not isinstance(version, int) or version > storage.FORMAT:
        raise CheckpointError(
            "unknown format version",
            where=path,
            found=version,
            expected=f"at most {storage.FORMAT}",
        )
    try:
        return validated(_Saved, fields, str(path))
    except AnyMAEError as error:
        raise CheckpointError(str(error)) from None
