"""Forecaster: a fine-tuned model that continues series, in their own units.

Shapes: n series, T time steps, C channels, L steps of a look-back, H of a horizon, b examples.
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
from anymae.data.sources import open_source
from anymae.errors import AnyMAEError, BadInput, CheckpointError
from anymae.evaluation.finetuning.tuned import FineTuned
from anymae.evaluation.forecasting.config import ForecastConfig, ForecastTask
from anymae.evaluation.forecasting.errors import AT_ONCE, errors_of
from anymae.evaluation.forecasting.examples import Batch, Examples, Scale, Table, whole_series
from anymae.evaluation.forecasting.network import ForecastNetwork
from anymae.model import ModelConfig
from anymae.precision import autocast, resolve
from anymae.registry import modality

KIND = "forecaster"
"""What ``config.json`` calls itself."""


class _Saved(BaseModel):
    """``config.json`` of a forecaster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    kind: str
    task: ForecastTask
    options: ForecastConfig
    model: ModelConfig
    history: list[dict[str, float]]


def forecast(network: ForecastNetwork, batch: Batch, precision: str = "fp32") -> Tensor:
    """(b, C, H) in units of the training data's deviation, on the network's device."""
    device = next(network.parameters()).device
    packed = network.backbone.adapter.batch_tokenize(batch.samples).to(device)
    with autocast(device, resolve(precision, device)):
        said = network(packed, batch.past.shape[1])
    return batch.centre.to(device) + batch.spread.to(device) * said.float()


class Forecaster(FineTuned):
    """A fine-tuned model for ``task`` (horizon, look_back), with ``network`` (on the CPU, in eval
    mode), ``config`` and ``history``, a list of dicts: step, epoch, lr, loss, validation_mse."""

    def __init__(
        self,
        network: Any,
        task: Any,
        config: Any,
        history: list[dict[str, float]],
    ) -> None:
        super().__init__(network, task, config, history)

    @torch.no_grad()
    def predict(self, dataset: Any, batch_size: int | None = None) -> np.ndarray:
        """(n, H, C) float32, in the data's units: what follows the end of each of n series, of
        which the last ``look_back`` steps are read. Raises ``BadInput``."""
        length = self._task.look_back
        series = whole_series(
            open_source(dataset, self._network.backbone.adapter), self._network.backbone.adapter
        )
        pasts = [_last(one, length, i) for i, one in enumerate(series)]
        examples = self._examples(pasts, 0)
        rows = [
            forecast(self._network, batch).transpose(1, 2)
            for _, batch in examples.batches(batch_size or AT_ONCE)
        ]
        scale = self._scale
        found: np.ndarray = (torch.cat(rows).double().numpy() * scale.std + scale.mean).astype(
            np.float32
        )
        return found

    @torch.no_grad()
    def score(self, dataset: Any, batch_size: int | None = None) -> float:
        """The mean squared error over every window of long series, in units of each channel's
        deviation in training; lower is better. Raises ``BadInput``."""
        adapter = self._network.backbone.adapter
        series = whole_series(open_source(dataset, adapter), adapter)
        examples = self._examples(series, self._task.horizon)
        found = errors_of(examples, lambda batch: forecast(self._network, batch))
        return float(found.squared.mean())

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors``; they appear complete or not at all, and
        replace an older folder. Raises ``CheckpointError``."""
        saved = _Saved(
            format=storage.FORMAT,
            kind=KIND,
            task=self._task,
            options=self._options,
            model=self._network.config,
            history=self.history,
        )
        return storage.write_model_folder(Path(folder), saved, self._network.state_dict())

    @classmethod
    def load(cls, folder: str | Path) -> Forecaster:
        """A forecaster from its folder. Raises ``CheckpointError`` if anything is missing, damaged
        or does not fit."""
        path = Path(folder) / "config.json"
        fields = storage.read_json(path)
        version = fields.get("format")
        if fields.get("kind") != KIND:
            raise CheckpointError(
                "not a forecaster", where=path, found=f"kind {fields.get('kind')!r}"
            )
        if not isinstance(version, int) or version > storage.FORMAT:
            raise CheckpointError(
                "unknown format version",
                where=path,
                found=version,
                expected=f"at most {storage.FORMAT}",
            )
        try:
            saved = validated(_Saved, fields, str(path))
            with torch.device("meta"):  # so that a configuration of absurd size costs nothing
                shape = _network(saved)
        except AnyMAEError as error:
            raise CheckpointError(str(error), where=path) from None
        wanted = storage.shapes_of(shape.state_dict())
        tensors = storage.read_tensors(Path(folder) / "model.safetensors", wanted)
        network = _network(saved)
        network.load_state_dict(tensors)
        return cls(network.eval(), saved.task, saved.options, saved.history)

    def _examples(self, series: list[Table], horizon: int) -> Examples:
        return Examples.of(series, self._task.look_back, horizon, self._scale, role="dataset")

    @property
    def _scale(self) -> Scale:
        return Scale(np.array(self._task.mean), np.array(self._task.std))

    @property
    def _task(self) -> ForecastTask:
        task: Any = self.task
        assert isinstance(task, ForecastTask)
        return task

    @property
    def _network(self) -> ForecastNetwork:
        network: Any = self.network
        assert isinstance(network, ForecastNetwork)
        return network

    @property
    def _options(self) -> ForecastConfig:
        options: Any = self.config
        assert isinstance(options, ForecastConfig)
        return options


def _last(series: Table, length: int, number: int) -> Table:
    """The last ``length`` steps, all known."""
    if len(series) < length:
        raise BadInput(
            "the series is shorter than the look-back",
            where=f"series {number}",
            found=f"{len(series)} steps",
            expected=f"at least {length}",
        )
    past = series[len(series) - length :]
    missing = np.argwhere(np.isnan(past))
    if len(missing):
        step, channel = missing[0]
        raise BadInput(
            "a missing value in the look-back",
            where=f"series {number}, step {len(series) - length + step}, channel {channel}",
            hint="Fill it in, or forecast from an earlier step.",
        )
    return past


def _network(saved: _Saved) -> ForecastNetwork:
    config = saved.model
    adapter = validated(modality(config.modality), config.adapter, "adapter")
    task = saved.task
    return ForecastNetwork(
        adapter,
        config.recipe,
        config.encoder,
        task.features,
        task.horizon,
        saved.options.dropout,
    )
