"""Defaults that follow the data: batch size, length, and how often to look."""

from __future__ import annotations

import math

from anymae.config import TrainingConfig
from anymae.errors import BadConfig
from anymae.training.optim import peak_rate

BATCH_TOKENS = 16384
EPOCHS_AT_10K = 200


def resolved(config: TrainingConfig, samples: int, mean_tokens: float) -> TrainingConfig:
    """``config`` with every number a run needs given, for ``samples`` training samples of
    ``mean_tokens`` tokens on average.

    Batch: ``batch_tokens`` (16,384) worth of samples, at most an eighth of the data. Length: 200
    epochs of 10,000 samples, the number of epochs falling with the square root of the data's
    size, between 10 and 400. Raises ``BadConfig``.
    """
    if samples == 0:
        raise BadConfig("there is no sample to train on", found="0 samples")
    batch = config.batch_size or _batch(config.batch_tokens, samples, mean_tokens)
    epochs = config.epochs
    if config.steps is None and epochs is None:
        epochs = min(400.0, max(10.0, EPOCHS_AT_10K * math.sqrt(10_000 / samples)))
    steps = config.steps or math.ceil(epochs * samples / batch)
    often = max(1, steps // 10)
    return config.model_copy(
        update={
            "batch_size": batch,
            "batch_tokens": None,
            "steps": steps if epochs is None else None,
            "epochs": epochs,
            "lr": peak_rate(config, batch),
            "validate_every": config.validate_every or max(1, steps // 20),
            "checkpoint_every": config.checkpoint_every or min(often, 1000),
        }
    )


def total_draws(config: TrainingConfig, samples: int) -> int:
    """How many samples a resolved run draws: whole batches, or exactly its epochs."""
    if config.steps is not None:
        return config.steps * config.batch_size
    return max(1, round(config.epochs * samples))


def _batch(batch_tokens: int | None, samples: int, mean_tokens: float) -> int:
    wanted = (batch_tokens or BATCH_TOKENS) / mean_tokens
    if batch_tokens is not None:
        return max(1, round(wanted))
    return max(1, min(round(wanted), 1024, max(samples // 8, min(samples, 8))))
