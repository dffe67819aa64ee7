"""Random variations of a series, for pretraining.

Shapes: T time steps, C channels.
"""

from __future__ import annotations

import numpy as np
import torch

from anymae.modalities.timeseries.series import Steps


def cropped(steps: Steps, shares: tuple[float, float], generator: torch.Generator) -> Steps:
    """Consecutive steps, a fraction U(``shares``) of all."""
    low, high = shares
    share, place = torch.rand(2, generator=generator).tolist()
    kept = min(len(steps), max(1, round(len(steps) * (low + (high - low) * share))))
    start = int(place * (len(steps) - kept + 1))
    return steps.part(start, start + kept)


def rolled(steps: Steps, generator: torch.Generator) -> Steps:
    """The series begun at a random step, and its first part put behind its end."""
    start = int(torch.randint(len(steps), (), generator=generator))
    return Steps(np.roll(steps.values, -start, axis=0), steps.times, steps.origin)


def scaled(steps: Steps, spread: float, generator: torch.Generator) -> Steps:
    """Each channel's deviations from its mean times exp(normal * ``spread``)."""
    factor = np.exp(spread * _normal((1, steps.values.shape[1]), generator))
    mean = _filled_mean(steps.values)
    return Steps(mean + (steps.values - mean) * factor, steps.times, steps.origin)


def jittered(steps: Steps, spread: float, generator: torch.Generator) -> Steps:
    """Normal noise added to every step, of ``spread`` times the channel's own deviation."""
    apart = steps.values - _filled_mean(steps.values)
    deviation = np.sqrt(_filled_mean(apart**2))
    noise = _normal(steps.values.shape, generator)
    return Steps(steps.values + spread * deviation * noise, steps.times, steps.origin)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    return torch.randn(shape, generator=generator).numpy()


def _filled_mean(values: np.ndarray) -> np.ndarray:
    """(1, C) the mean of what is observed."""
    observed = ~np.isnan(values)
    total = np.where(observed, values, 0.0).sum(0, keepdims=True)
    return total / np.maximum(observed.sum(0, keepdims=True), 1)
