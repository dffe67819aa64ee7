"""Random variations of clouds: turned, stretched, moved, thinned.

Shapes: n points, C numbers a point (x, y, z first).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch

Up = Literal["x", "y", "z"]
Rotate = Literal["none", "up", "any"]


def turned(
    points: np.ndarray, rotate: Rotate, up: Up, normals: slice | None, generator: torch.Generator
) -> np.ndarray:
    """The cloud turned about the ``up`` axis, or any, by a random angle; so are its ``normals``."""
    if rotate == "none":
        return points
    turn = about_up(generator, up) if rotate == "up" else about_any(generator)
    points = points.copy()
    points[:, :3] = points[:, :3] @ turn.T
    if normals is not None:
        points[:, normals] = points[:, normals] @ turn.T
    return points


def about_up(generator: torch.Generator, up: Up) -> np.ndarray:
    """A (3, 3) rotation about an axis by a uniform angle."""
    angle = 2 * math.pi * float(torch.rand((), generator=generator, dtype=torch.float64))
    turn, axis = np.eye(3), "xyz".index(up)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
    return turn


def about_any(generator: torch.Generator) -> np.ndarray:
    """A (3, 3) rotation, uniform over all: a random unit quaternion (Shoemake 1992)."""
    q = torch.randn(4, generator=generator, dtype=torch.float64).numpy()
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def stretched(
    points: np.ndarray,
    factors: tuple[float, float],
    normals: slice | None,
    generator: torch.Generator,
) -> np.ndarray:
    """The cloud scaled along each axis by its own factor; normals stay normal to the surface."""
    low, high = factors
    scale = (low + (high - low) * torch.rand(3, generator=generator, dtype=torch.float64)).numpy()
    points = points.copy()
    points[:, :3] *= scale
    if normals is not None:
        leaning = points[:, normals] / scale
        points[:, normals] = leaning / np.linalg.norm(leaning, axis=1, keepdims=True).clip(1e-12)
    return points


def moved(points: np.ndarray, by: float, generator: torch.Generator) -> np.ndarray:
    """The cloud moved along each axis by U(-by, by)."""
    draw = 2 * torch.rand(3, generator=generator, dtype=torch.float64).numpy() - 1
    points = points.copy()
    points[:, :3] += by * draw
    return points


def thinned(points: np.ndarray, most: int | None, generator: torch.Generator) -> np.ndarray:
    """``most`` points, drawn at random, of clouds that have more."""
    if most is None or len(points) <= most:
        return points
    return points[torch.randperm(len(points), generator=generator)[:most].numpy()]
