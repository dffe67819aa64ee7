"""Views: the feature vectors that are compared, of a model, of its random twins and of raw data.

Shapes: n samples, d features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anymae import precision as formats
from anymae.data.sources import Source
from anymae.errors import BadConfig
from anymae.inference import embed
from anymae.model import Model


@dataclass(frozen=True)
class View:
    """Features of the training and the test samples, float32 (n, d) each, standardised on the
    training samples."""

    train: Tensor
    test: Tensor


@dataclass(frozen=True)
class Reading:
    """How features are taken from a model: see ``Model.embed``."""

    pool: str | None = "mean"
    layer: int = -1
    batch_size: int | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.pool is None:
            raise BadConfig("evaluations need one vector a sample", found="pool=None")

    def of(self, model: Model, source: Source) -> Tensor:
        """(n, d) float32 features on the CPU."""
        device = next(model.parameters()).device
        options: dict[str, Any] = {
            "pool": self.pool,
            "layer": self.layer,
            "batch_size": self.batch_size,
            "precision": formats.resolve(self.precision, device),
        }
        return torch.from_numpy(embed(model, source, **options))

    def of_tokens(self, model: Model, source: Source) -> Tensor:
        """(T, d) float32 features of every token of every sample, in order, on the CPU."""
        device = next(model.parameters()).device
        precision = formats.resolve(self.precision, device)
        rows = embed(
            model, source, pool=None, layer=self.layer, batch_size=self.batch_size,
            precision=precision,
        )  # fmt: skip
        return torch.cat([torch.from_numpy(part) for part in rows])

    def view(self, model: Model, train: Source, test: Source) -> View:
        """A model's features, standardised."""
        return standardised(self.of(model, train), self.of(model, test))


def random_twin(model: Model, seed: int) -> Model:
    """A model of the same kind with newly drawn weights, on the same device."""
    twin = Model(model.adapter, model.recipe, model.encoder.config, seed=seed)
    return twin.to(next(model.parameters()).device).eval()


def standardised(train: Tensor, test: Tensor) -> View:
    """Features with mean 0 and standard deviation 1 on the training samples; a feature that does
    not vary there is 0."""
    mean = train.mean(0)
    deviation = train.std(0, correction=0)
    still = deviation <= 1e-6 * train.square().mean(0).sqrt()
    scale = torch.where(still, 0.0, 1 / deviation.clamp(min=1e-30))
    return View((train - mean) * scale, (test - mean) * scale)
