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
    half = students_quantile(len(runs) - 1) * float(runs.double().std())
    return half / math.sqrt(len(runs))


def students_quantile(freedom: int, inside: float = 0.95) -> float:
    """The t below which |T| lies with probability ``inside``, by bisection on the exact sums for
    whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    low, high = 0.0, 1e3
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < inside else (low, middle)
    return high


def _inside(t: float, freedom: int) -> float:
    """P(|T| < t)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for i in range(odd, freedom - 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (i + 1) / (i + 2)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
