"""Intervals: 95 % confidence from resampled test samples and repeated runs.

Shapes: n test samples, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from anymae import draws

RESAMPLES = 1000
_AT_ONCE = 1 << 23
Interval = tuple[float, float]


def resampled(statistic: Callable[[Tensor], Tensor], count: int, seed: int) -> Tensor:
    """(R,) values of a statistic on resamples of ``count`` test samples (Efron 1979).

    ``statistic`` takes weights (r, n), how often each sample was drawn, and gives (r,). The same
    seed draws the same resamples, so that differences between predictors can be paired.
    """
    generator = draws.generator(seed, "bootstrap", count)
    chunk = max(1, _AT_ONCE // count)
    values = []
    for start in range(0, RESAMPLES, chunk):
        rows = min(chunk, RESAMPLES - start)
        drawn = torch.randint(count, (rows, count), generator=generator)
        weights = torch.zeros(rows, count, dtype=torch.float64)
        values.append(statistic(weights.scatter_add_(1, drawn, torch.ones_like(weights))))
    return torch.cat(values)


def interval(value: float, boot: Tensor, spread: float, bounds: Interval) -> Interval:
    """The 95 % interval of a ``value`` on test samples, for predictions made repeatedly.

    Percentiles of its resamples ``boot`` (R,) say how far chance in the test samples goes,
    ``spread`` how far chance in the repetitions does (see ``t_half_width``); as independent
    sources they add in quadrature.
    """
    low, high = torch.quantile(boot.double(), torch.tensor([0.025, 0.975]).double()).tolist()
    low = value - math.hypot(max(value - low, 0.0), spread)
    high = value + math.hypot(max(high - value, 0.0), spread)
    return max(low, bounds[0]), min(high, bounds[1])


def t_half_width(runs: Tensor) -> float:
    """Half the 95 % t interval of the mean of independent runs (r,); 0 for a single one."""
    if len(runs) < 2:
        return 0.0
    from scipy.stats import t

    quantile = float(t.ppf(0.975, len(runs) - 1))
    return quantile * float(runs.double().std()) / math.sqrt(len(runs))
