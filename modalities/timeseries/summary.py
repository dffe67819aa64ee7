"""A series as a vector of fixed length, without any model: the baseline of evaluations.

Shapes: T time steps, C channels.
"""

from __future__ import annotations

import numpy as np


def interpolated(values: np.ndarray, missing: np.ndarray, steps: int) -> np.ndarray:
    """(C ``steps``,) each channel of (T, C) at ``steps`` even places, by straight lines between
    what is observed; ``missing`` (C,) where a channel has nothing."""
    places = np.linspace(0, len(values) - 1, steps)
    found = []
    for channel, default in zip(values.T, missing, strict=True):
        seen = np.flatnonzero(~np.isnan(channel))
        found.append(
            np.interp(places, seen, channel[seen]) if len(seen) else np.full(steps, default)
        )
    return np.concatenate(found)


def summarised(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(7 C,) of each channel how much is observed, and its mean, deviation, least, largest, first
    and last value; of one without observations ``missing`` (C,), and deviation 0."""
    found = []
    for channel, default in zip(values.T, missing, strict=True):
        seen = channel[~np.isnan(channel)]
        known = seen if len(seen) else np.full(1, default)
        shape = (known.mean(), known.std(), known.min(), known.max(), known[0], known[-1])
        found.append([len(seen), *shape])
    return np.array(found, dtype=np.float64).flatten()
