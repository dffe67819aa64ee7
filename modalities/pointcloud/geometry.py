"""What Open3D does for us: its clouds and meshes, their files, and normals.

Shapes: n points, C numbers a point.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from anymae.errors import BadInput, missing_extra
from anymae.modalities.pointcloud.meshes import sample_surface

NORMAL_NEIGHBOURS = 30
"""Neighbours that a normal is estimated from."""


def open3d_for(what: str) -> Any:
    """Open3D, or the error that says how to install it."""
    try:
        import open3d
    except ImportError:
        raise missing_extra("open3d", "pointcloud", what) from None
    return open3d


def is_geometry(sample: Any) -> bool:
    """Whether this is an Open3D cloud or mesh, without importing Open3D."""
    return type(sample).__module__.partition(".")[0] == "open3d" and hasattr(sample, "is_empty")


def points_of(
    shape: Any, mesh_points: int, normals: bool, attributes: tuple[str, ...]
) -> np.ndarray:
    """An Open3D cloud, or ``mesh_points`` of a mesh's surface, as (n, C) float64: x, y, z, then
    unit normals if asked, then the named attributes. Raises ``BadInput``."""
    kind = type(shape).__name__
    if kind == "TriangleMesh":
        return _of_mesh(shape, mesh_points, normals, attributes)
    if kind != "PointCloud":
        raise BadInput(
            "not a point cloud or mesh", found=f"Open3D {kind}", expected="PointCloud, TriangleMesh"
        )
    held = _held(shape)
    if "positions" not in held or not len(held["positions"]):
        raise BadInput("the point cloud has no points")
    columns = [held["positions"]]
    if normals:
        columns.append(unit(held["normals"]) if "normals" in held else estimated(columns[0]))
    for name in attributes:
        if name not in held:
            raise BadInput(
                f"the point cloud has no attribute {name!r}",
                found=", ".join(sorted(held)),
                hint="Choose others in modality_options attributes.",
            )
        columns.append(held[name].reshape(len(columns[0]), -1))
    with np.errstate(invalid="ignore"):  # a NaN may be of the kind that signals
        return np.concatenate([column.astype(np.float64) for column in columns], 1)


def _held(cloud: Any) -> dict[str, np.ndarray]:
    """Everything a cloud knows of its points, by Open3D's names."""
    if hasattr(cloud, "point"):
        return {name: cloud.point[name].cpu().numpy() for name in cloud.point}
    found = {"positions": cloud.points, "normals": cloud.normals, "colors": cloud.colors}
    return {name: np.asarray(values) for name, values in found.items() if len(values)}


def _of_mesh(mesh: Any, mesh_points: int, normals: bool, attributes: tuple[str, ...]) -> np.ndarray:
    if attributes:
        raise BadInput(
            "points on a mesh have no attributes but normals", found=", ".join(attributes)
        )
    if hasattr(mesh, "vertex"):
        mesh = mesh.to_legacy()
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    points, directions = sample_surface(vertices, triangles, mesh_points)
    return np.concatenate([points, directions], 1) if normals else points


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, 3) at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)


def estimated(points: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3) of a cloud's surface, from each point's neighbours, pointing away from
    the cloud's mean. Needs Open3D."""
    open3d = open3d_for("estimating normals")
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points[:, :3]))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(NORMAL_NEIGHBOURS))
    normals = unit(np.asarray(cloud.normals))
    outwards = (normals * (points[:, :3] - points[:, :3].mean(0))).sum(1) >= 0
    return np.where(outwards[:, None], normals, -normals)


def load(content: bytes, name: str, ending: str, points: int, faces: int) -> Any:
    """The Open3D mesh in a file's bytes, or cloud where there are no ``faces``; Open3D itself
    reads paths only. Raises ``BadInput``, also if fewer ``points`` or ``faces`` are found."""
    open3d = open3d_for(f"reading {ending} files")
    quiet = open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error)
    with tempfile.TemporaryDirectory() as folder, quiet:
        path = Path(folder) / f"cloud{ending}"
        path.write_bytes(content)
        try:
            if faces:
                shape = open3d.io.read_triangle_mesh(str(path))
                found = len(shape.vertices), len(shape.triangles)
            else:
                shape = open3d.t.io.read_point_cloud(str(path))
                found = 0 if shape.is_empty() else len(shape.point["positions"]), 0
        except Exception as error:  # Open3D raises RuntimeError and others on damaged files
            raise BadInput(f"cannot be decoded: {_line(error)}", where=name) from None
    if not found[0] or found[0] < points or found[1] < faces:
        raise BadInput(
            "cannot be decoded as a point cloud or mesh",
            where=name,
            found=f"{found[0]:,} points and {found[1]:,} faces",
            expected=f"{points:,} points and {faces:,} faces",
        )
    return shape


def _line(error: Exception) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()  # Open3D writes in colours
    return plain.split("\n")[-1][:200] or type(error).__name__
