"""Defaults that follow the data: batch size, length, and how often to look."""

from __future__ import annotations

import math

from pydantic import Field

from anymae.config import TrainingConfig
from anymae.training.optim import peak_rate

BATCH_TOKENS = 16384
EPOCHS_AT_10K = 200


class Resolved(TrainingConfig):
    """A training configuration in which nothing is left to choose."""

    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0)
    validate_every: int = Field(gt=0)
    checkpoint_every: int = Field(gt=0)

    def total_draws(self, samples: int) -> int:
        """How many samples the run draws: whole batches, or exactly its epochs."""
        if self.steps is not None:
            return self.steps * self.batch_size
        return max(1, round((self.epochs or 1) * samples))


def resolved(config: TrainingConfig, samples: int, mean_tokens: float) -> Resolved:
    """``config`` with every number a run needs given, for ``samples`` training samples of
    ``mean_tokens`` tokens on average.

    Batch: ``batch_tokens`` (16,384) worth of samples, at most an eighth of the data. Length: 200
    epochs of 10,000 samples, the number of epochs falling with the square root of the data's
    size, between 10 and 400.
    """
    batch = config.batch_size or _batch(config.batch_tokens, samples, mean_tokens)
    epochs = config.epochs
    if config.steps is None and epochs is None:
        epochs = min(400.0, max(10.0, EPOCHS_AT_10K * math.sqrt(10_000 / samples)))
    steps = config.steps or math.ceil((epochs or 1) * samples / batch)
    chosen = {
        "batch_size": batch,
        "batch_tokens": None,
        "epochs": epochs,
        "lr": peak_rate(config, batch),
        "validate_every": config.validate_every or max(1, steps // 20),
        "checkpoint_every": config.checkpoint_every or min(max(1, steps // 10), 1000),
    }
    return Resolved(**(config.model_dump() | chosen))


def _batch(batch_tokens: int | None, samples: int, mean_tokens: float) -> int:
    wanted = round((batch_tokens or BATCH_TOKENS) / mean_tokens)
    if batch_tokens is not None:
        return max(1, wanted)
    return max(1, min(wanted, 1024, max(samples // 8, min(samples, 8))))
