"""A cloud as a picture: seen from a little above, near points light, far ones dark.

Shapes: n points.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anymae.modalities.pointcloud.augment import Up

MOST = 20_000
"""Points drawn."""


def draw_cloud(axes: Any, points: np.ndarray, up: Up, elevation: float, azimuth: float) -> None:
    """Draw the first three columns of ``points`` (n, 3 or more) on matplotlib axes, seen from
    ``elevation`` and ``azimuth`` (degrees) without perspective."""
    points = points[np.isfinite(points[:, :3]).all(1), :3]
    points = points[:: -(-len(points) // MOST) or 1]
    x, y, depth = seen_from(points, up, elevation, azimuth)
    order = np.argsort(depth)
    size = float(np.clip(600 / max(len(points), 1), 0.15, 4))
    axes.scatter(x[order], y[order], c=depth[order], s=size, cmap="viridis", linewidths=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def seen_from(
    points: np.ndarray, up: Up, elevation: float, azimuth: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) rightwards, upwards and towards the viewer."""
    last = "xyz".index(up)
    turned = points[:, [(last + 1) % 3, (last + 2) % 3, last]]
    a, e = math.radians(azimuth), math.radians(elevation)
    right = np.array([-math.sin(a), math.cos(a), 0.0])
    towards = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
    return turned @ right, turned @ np.cross(towards, right), turned @ towards
