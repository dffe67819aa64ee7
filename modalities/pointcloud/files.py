"""Point cloud files: ``.npy``, ``.bin`` and ``.xyz`` by numpy; ``.ply``, ``.pcd``, ``.off`` and
``.obj`` by Open3D, after a look at what their headers claim."""

from __future__ import annotations

import re
import warnings
from typing import Any, BinaryIO

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.pointcloud import geometry
from anymae.modalities.pointcloud.headers import CLAIMS, ply_of_doubles
from anymae.npy import read_npy

EXTENSIONS = (".ply", ".pcd", ".off", ".obj", ".xyz", ".npy", ".bin")


def read_cloud(file: BinaryIO, name: str, point_limit: int, bin_columns: int) -> Any:
    """An array (n, C), or an Open3D cloud or mesh, from an open file. Raises ``BadInput`` naming
    the file."""
    ending = "." + name.lower().rsplit(".", 1)[-1]
    if ending == ".npy":
        return _read_npy(file, name, point_limit)
    if ending == ".bin":
        return _read_bin(file, name, point_limit, bin_columns)
    if ending == ".xyz":
        return _read_xyz(file, name, point_limit)
    if ending not in CLAIMS:
        raise BadInput(
            "not a point cloud file by its ending",
            where=name,
            expected=f"one of {', '.join(EXTENSIONS)}",
        )
    content = file.read()
    if ending == ".off":  # files of ModelNet have no line break after the word
        content = re.sub(rb"\A\s*OFF(?=\d)", b"OFF\n", content)
    points, faces = CLAIMS[ending](content, name)
    _refuse_many(max(points, faces), name, point_limit)
    if not points:
        raise BadInput("there is no point in the file", where=name)
    if not faces and ending in (".off", ".obj"):
        raise BadInput(
            "the mesh has no faces", where=name, hint="Keep points as ply, pcd, xyz or npy."
        )
    if ending == ".ply":
        content = ply_of_doubles(content)
    # Of an obj, Open3D joins vertices at one place, and so may find fewer.
    return geometry.load(content, name, ending, 0 if ending == ".obj" else points, faces)


def _refuse_many(points: int, name: str, limit: int) -> None:
    if points > limit:
        raise BadInput(
            "point cloud too large to read safely",
            where=name,
            found=f"{points:,} points or faces",
            expected=f"at most {limit:,}",
            hint="Raise modality_options point_limit if you trust the file.",
        )


def _read_npy(file: BinaryIO, name: str, limit: int) -> np.ndarray:
    array = read_npy(file, name)
    _refuse_many(len(array) if array.ndim else 0, name, limit)
    return array


def _read_bin(file: BinaryIO, name: str, limit: int, columns: int) -> np.ndarray:
    content = file.read(limit * columns * 4 + 1)
    _refuse_many(-(-len(content) // (columns * 4)), name, limit)
    if not content or len(content) % (columns * 4):
        raise BadInput(
            f"not a file of points of {columns} float32 numbers",
            where=name,
            found=f"{len(content):,} bytes",
            expected=f"a positive multiple of {columns * 4}",
            hint="Give modality_options bin_columns if points have more numbers or fewer.",
        )
    return np.frombuffer(content, "<f4").reshape(-1, columns)


def _read_xyz(file: BinaryIO, name: str, limit: int) -> np.ndarray:
    """Lines of numbers with blanks or commas between, ``#`` before comments."""
    lines = file.read().replace(b",", b" ").splitlines()
    _refuse_many(len(lines), name, limit)
    try:
        text = [line.decode("ascii") for line in lines]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "input contained no data"
            array = np.loadtxt(text, ndmin=2)
    except (UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"not lines of numbers: {error}", where=name) from None
    if not array.size:
        raise BadInput("there is no point in the file", where=name)
    return array
