"""Where a cloud's points are, in numbers of order one.

Shapes: n points of C numbers, A axes (x, y, z, perhaps time).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Normalise = Literal["sphere", "centre", "none"]


def centre_of(
    points: np.ndarray, axes: int, normalise: Normalise, origin: tuple[float, float, float]
) -> np.ndarray:
    """(A,) float32: the mean place of a cloud (n, C), or ``origin`` at its mean time. Subtracting
    a float32 from float64 points and adding it again loses nothing."""
    mean = points[:, :axes].mean(0)
    if normalise == "none":
        mean[:3] = origin
    return mean.astype(np.float32)


def radius_of(points: np.ndarray, centre: np.ndarray) -> float:
    """The distance of the farthest of the points (n, C) from a centre, 1 if all are there."""
    radius = float(np.sqrt(np.square(points[:, :3] - centre[:3]).sum(1).max()))
    return radius if radius > 0 else 1.0


def principal_axes(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(3, 3) with the cloud's own axes in its columns: the directions of largest, middle and
    smallest variance, each pointing to the side of its longer tail (positive third moment)."""
    moved = points[:, :3] - centre[:3]
    own = np.linalg.eigh(moved.T @ moved)[1][:, ::-1]
    return own * np.where(((moved @ own) ** 3).sum(0) < 0, -1.0, 1.0)


def placed(
    points: np.ndarray, centre: np.ndarray, unit: np.ndarray, turn: np.ndarray | None
) -> np.ndarray:
    """(n, A) float32 places of a cloud (n, C) from ``centre`` (A,), along the columns of ``turn``
    (3, 3) if given, in units ``unit`` (A,)."""
    moved = points[:, : len(centre)] - centre
    if turn is not None:
        moved[:, :3] = moved[:, :3] @ turn
    return (moved / unit).astype(np.float32)
