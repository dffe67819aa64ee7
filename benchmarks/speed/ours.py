"""anymae's training step on any modality, tokenization and masking included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from anymae.adapter import Adapter
from anymae.config import TrainingConfig, with_overrides
from anymae.encoder import EncoderConfig
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.registry import recipe
from anymae.training.optim import adamw


def training_step(
    adapter: Adapter,
    samples: Sequence[Any],
    encoder: EncoderConfig,
    precision: Precision,
    device: torch.device,
    method: str = "mae",
    **settings: Any,
) -> Callable[[], None]:
    """A step from a batch of raw samples to updated weights. ``adapter`` is fitted; ``settings``
    are dotted settings of the recipe."""
    chosen = with_overrides(recipe(method), settings, "benchmark")
    model = Model(adapter, chosen, encoder).train().to(device)
    optimiser = adamw(model, TrainingConfig())
    for group in optimiser.param_groups:
        group["lr"] = 1e-4
    keys = torch.arange(len(samples))

    def step() -> None:
        packed = adapter.batch_tokenize(samples).with_keys(keys).to(device)
        roles = chosen.mask.draw(packed)
        with autocast(device, precision):
            output = model(packed, roles)
        (output.loss / output.count).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step
