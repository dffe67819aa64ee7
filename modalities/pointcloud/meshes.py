"""Meshes: points on the surface of triangles.

Shapes: v vertices, t triangles, n points.
"""

from __future__ import annotations

import numpy as np
import torch

from anymae import draws
from anymae.errors import BadInput


def sample_surface(
    vertices: np.ndarray, triangles: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """``count`` points (n, 3) on a mesh and its unit normals there (n, 3), always the same ones.

    ``vertices`` (v, 3), ``triangles`` (t, 3) integers. The surface is cut into ``count`` parts of
    equal area along the list of triangles, with one uniform point in each; the square root of a
    draw makes points uniform in a triangle (Osada et al. 2002). Raises ``BadInput``.
    """
    if not len(vertices):
        raise BadInput("the mesh has no vertices")
    if not len(triangles):
        raise BadInput("the mesh has no triangles", hint="Pass its vertices as a point cloud.")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise BadInput(
            "a triangle names a vertex that does not exist",
            found=f"indices {triangles.min()} to {triangles.max()}",
            expected=f"from 0 to {len(vertices) - 1}",
        )
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    across = np.cross(b - a, c - a)
    twice = np.linalg.norm(across, axis=1)
    upto = twice.cumsum()
    total = upto[-1]
    if not np.isfinite(total) or total <= 0:
        raise BadInput("the mesh has no finite, positive area", found=f"area {total / 2:g}")
    place, first, second = (_draws(count, purpose) for purpose in ("place", "first", "second"))
    along = (np.arange(count) + place) / count * total
    chosen = np.searchsorted(upto, along, side="right")  # never a triangle without area
    root = np.sqrt(first)[:, None]
    second = second[:, None]
    points = (1 - root) * a[chosen] + root * (1 - second) * b[chosen] + root * second * c[chosen]
    return points, across[chosen] / twice[chosen, None]


def _draws(count: int, purpose: str) -> np.ndarray:
    key = torch.tensor(draws.key("mesh"))
    return draws.uniform(key, torch.arange(count), purpose).double().numpy()
