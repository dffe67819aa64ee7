"""A cloud as a few numbers: what a classifier without a model would be given.

Shapes: n points of C numbers, A axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

RADII = 64


def summary(points: Tensor, axes: int) -> Tensor:
    """(64 + 2 A + 2 (C - A),) numbers: quantiles of the distance from the mean point, which no
    rotation changes, then mean and deviation of each axis and each feature."""
    where = points[:, :3]
    radii = (where - where.mean(0)).norm(dim=1)
    quantiles = radii.quantile(torch.linspace(0, 1, RADII, dtype=radii.dtype))
    return torch.cat([quantiles, points.mean(0), points.std(0, correction=0)]).float()
