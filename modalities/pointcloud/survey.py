"""A look at a set of clouds: what they hold, and how large they are.

Shapes: n points, A axes, C numbers a point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from anymae.errors import BadInput

KEEP_EVERY = 8


@dataclass(frozen=True)
class Survey:
    """What the clouds have in common.

    ``origin`` (3,) is the mean of all points, ``scale`` the root mean square distance of points
    from it, ``own_scale`` that from the mean of their own cloud, ``time_scale`` the deviation of
    times in a cloud. ``kept`` is a part of the clouds.
    """

    features: int
    feature_mean: tuple[float, ...]
    feature_std: tuple[float, ...]
    origin: tuple[float, float, float]
    scale: float
    own_scale: float
    time_scale: float
    kept: list[np.ndarray]


def survey(clouds: Iterable[np.ndarray], axes: int) -> Survey:
    """Look at clouds (n, C) once. Raises ``BadInput`` if there is none or if they disagree on C."""
    kept: list[np.ndarray] = []
    sums: list[tuple[int, np.ndarray, np.ndarray]] = []
    for i, cloud in enumerate(clouds):
        if sums and cloud.shape[1] != len(sums[0][1]):
            raise BadInput(
                "clouds disagree on the numbers of a point",
                found=cloud.shape[1],
                expected=f"{len(sums[0][1])}, as in the clouds before",
            )
        sums.append((len(cloud), cloud.mean(0), cloud.var(0)))
        if i % KEEP_EVERY == 0:
            kept.append(cloud)
    if not sums:
        raise BadInput("there is no point cloud to learn from", found="0 samples")
    counts, means, own = (np.array(column, dtype=np.float64) for column in zip(*sums, strict=True))
    share = counts / counts.sum()
    mean, within = share @ means, share @ own
    variance = within + share @ (means - mean) ** 2
    std = np.sqrt(variance[axes:])
    return Survey(
        features=len(mean) - axes,
        feature_mean=tuple(mean[axes:].tolist()),
        feature_std=tuple(np.where(std > 1e-12, std, 1.0).tolist()),
        origin=(float(mean[0]), float(mean[1]), float(mean[2])),
        scale=_positive(variance[:3].sum()),
        own_scale=_positive(within[:3].sum()),
        time_scale=_positive(within[3]) if axes == 4 else 1.0,
        kept=kept,
    )


def _positive(variance: float) -> float:
    return float(np.sqrt(variance)) if variance > 0 else 1.0
