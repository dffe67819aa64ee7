"""Point clouds as arrays: what is one, in which order its points stand, which are left out.

Shapes: n points, A axes, C numbers a point (axes first).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from anymae.errors import BadInput
from anymae.limits import LIMITS
from anymae.modalities.pointcloud import geometry

Extent = tuple[float, float, float, float, float, float]


def points_of(
    sample: Any,
    *,
    axes: int,
    features: int | None,
    mesh_points: int,
    normals: bool,
    attributes: tuple[str, ...],
    drop_invalid: bool,
    extent: Extent | None,
) -> np.ndarray:
    """A cloud, mesh, array or tensor as (n, C) float64, ready for what is made of it; ``features``
    is C - A (None: any). See ``PointCloudAdapter`` for the rest. Raises ``BadInput``."""
    if geometry.is_geometry(sample):
        points = geometry.points_of(sample, mesh_points, normals, attributes)
    else:
        points = as_array(sample)
    points = finite(points, drop_invalid)
    if normals and points.shape[1] == axes:
        points = np.concatenate([points, geometry.estimated(points)], 1)
    if normals:
        refuse_wrong_normals(points, axes)
    found = points.shape[1] - axes
    if found < 0 or features not in (None, found):
        expected = f"{axes} axes" + ("" if features is None else f" and {features} features")
        raise BadInput(
            "wrong number of columns", found=f"points of {points.shape[1]} numbers",
            expected=expected,
        )  # fmt: skip
    return in_order(inside(points, extent))


def as_array(sample: Any) -> np.ndarray:
    """An array or tensor (n, C) as float64. Raises ``BadInput``."""
    array = sample.numpy(force=True) if isinstance(sample, torch.Tensor) else np.asarray(sample)
    if array.dtype.kind not in "uif":
        raise BadInput(
            "a point cloud must hold real numbers",
            found=f"{type(sample).__name__} of {array.dtype}",
        )
    if array.ndim != 2 or len(array) == 0 or array.shape[1] < 3:
        raise BadInput(
            "not a point cloud",
            found=f"shape {array.shape}",
            expected="(points, 3 + features), at least one point",
        )
    with np.errstate(invalid="ignore"):  # a NaN may be of the kind that signals
        return array.astype(np.float64)


def finite(points: np.ndarray, drop_invalid: bool) -> np.ndarray:
    """Points all of whose numbers are finite, and no larger than ``Limits.magnitude``. Unless
    others may be dropped, raises ``BadInput`` naming the first."""
    good = (np.abs(points) <= LIMITS.magnitude).all(1)
    if good.all():
        return points
    if drop_invalid and good.any():
        return points[good]
    row = int(np.argmin(good))
    raise BadInput(
        "a point cloud has points that are not finite",
        found=f"{len(points) - int(good.sum())} of {len(points)}, point {row} is "
        f"{points[row].tolist()}",
        expected=f"finite numbers up to {LIMITS.magnitude:g}",
        hint="Where NaN means no return, give modality_options drop_invalid=True.",
    )


def inside(points: np.ndarray, extent: Extent | None) -> np.ndarray:
    """The points within the box ``extent``: three lowest, three highest coordinates."""
    if extent is None:
        return points
    low, high = np.asarray(extent[:3]), np.asarray(extent[3:])
    kept = ((points[:, :3] >= low) & (points[:, :3] < high)).all(1)
    if not kept.any():
        raise BadInput(
            "no point lies inside extent",
            found=f"coordinates from {points[:, :3].min(0)} to {points[:, :3].max(0)}",
            expected=f"some from {low} to {high}",
        )
    return points[kept]


def in_order(points: np.ndarray) -> np.ndarray:
    """The points sorted by their numbers, first column first: a cloud is a set, and what is made
    of it must not depend on the order in which its points came."""
    return points[np.lexsort(points.T[::-1])]


def refuse_wrong_normals(points: np.ndarray, axes: int) -> None:
    """Raise ``BadInput`` unless the three numbers after the axes are unit vectors."""
    lengths = np.linalg.norm(points[:, axes : axes + 3], axis=1)
    if points.shape[1] >= axes + 3 and np.abs(lengths - 1).max() < 0.01:
        return
    wrong = int(np.abs(lengths - 1).argmax())
    raise BadInput(
        f"with normals=True the three numbers after the {axes} axes are unit normals",
        found=f"{points[wrong, axes : axes + 3].tolist()} at point {wrong}",
        expected="a vector of length 1",
        hint="Leave other features out, or put normals before them.",
    )
