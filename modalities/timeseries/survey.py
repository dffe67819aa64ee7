"""A look at a set of series: their length, channels, spacing and statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.timeseries.series import Steps, on_grid


@dataclass(frozen=True)
class Survey:
    """What series have in common. ``length`` is None if they differ, ``typical`` their mean;
    ``spacing`` is the median time between steps, None without times; ``mean`` and ``std`` are of
    each channel's observed values."""

    channels: int
    length: int | None
    typical: float
    irregular: bool
    spacing: float | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


def survey(samples: Iterable[Steps]) -> Survey:
    """Look at series once. Raises ``BadInput`` if there is none, if their channels disagree or if
    nothing varies."""
    lengths: list[int] = []
    spacings: list[float] = []
    totals: np.ndarray | None = None
    irregular = False
    for steps in samples:
        even = on_grid(steps)
        irregular |= even is None
        if steps.times is not None and len(steps) > 1:
            spacings.append(float(np.median(np.diff(steps.times))))
        lengths.append(len(even or steps))
        found = _moments(steps.values)
        if totals is not None and totals.shape[1] != found.shape[1]:
            raise BadInput(
                "series disagree on their channels",
                found=f"{found.shape[1]} channels",
                expected=f"{totals.shape[1]}, as in the series before",
            )
        totals = found if totals is None else _added(totals, found)
    if totals is None:
        raise BadInput("there is no series to learn from", found="0 samples")
    count, mean, squares = totals
    deviation = np.sqrt(squares / np.maximum(count, 1))
    varies = deviation > 1e-12 * np.abs(mean)
    if not varies.any():
        raise BadInput(
            "every channel is constant or missing: there is nothing to learn",
            found=f"{len(lengths)} series",
        )
    return Survey(
        channels=totals.shape[1],
        length=lengths[0] if len(set(lengths)) == 1 else None,
        typical=float(np.mean(lengths)),
        irregular=irregular,
        spacing=float(np.median(spacings)) if spacings else None,
        mean=tuple(mean.tolist()),
        std=tuple(np.where(varies, deviation, 1.0).tolist()),
    )


def _moments(values: np.ndarray) -> np.ndarray:
    """(3, C): count, mean and summed squared deviation of what is observed of each channel."""
    observed = ~np.isnan(values)
    count = observed.sum(0)
    filled = np.where(observed, values, 0.0).astype(np.float64)
    mean = filled.sum(0) / np.maximum(count, 1)
    squares = (np.where(observed, filled - mean, 0.0) ** 2).sum(0)
    return np.stack([count, mean, squares])


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The moments of both together (Chan et al. 1979)."""
    count = a[0] + b[0]
    share = b[0] / np.maximum(count, 1)
    apart = b[1] - a[1]
    return np.stack([count, a[1] + apart * share, a[2] + b[2] + apart**2 * a[0] * share])
