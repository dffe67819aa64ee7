"""Graph files: one graph in an ``.npz`` of arrays.

``edges`` (2, E) (or ``edge_index``); and, as far as there are any, ``x`` (n, F), ``edge_values``
(E, Fe) (or ``edge_attr``), ``y``, ``num_nodes``.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO

import numpy as np

from anymae.errors import BadInput
from anymae.limits import LIMITS, Limits
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.natives import EDGE_KEYS, EDGE_VALUE_KEYS, as_graph

EXTENSIONS = (".npz",)
_KNOWN = ("x", *EDGE_KEYS, *EDGE_VALUE_KEYS, "y", "num_nodes")


def read_graph(file: BinaryIO, name: str, limits: Limits = LIMITS) -> Graph:
    """The graph of an open file; sizes are checked before anything is decoded. Raises ``BadInput``
    naming the file."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                _refuse_bomb(member, limits)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in _KNOWN if key in arrays}
            names = list(arrays)
    except BadInput as error:
        raise error.at(name) from None
    except Exception as error:  # zipfile and numpy raise many types on damaged files
        raise BadInput(f"not a readable .npz file: {str(error)[:200]}", where=name) from None
    if not any(key in found for key in EDGE_KEYS):
        raise BadInput(
            "the file holds no graph",
            where=name,
            found=f"arrays {', '.join(map(repr, names))}" if names else "no arrays",
            expected="'edges' of shape (2, edges), and 'x' with a row for each node",
        )
    try:
        return as_graph(found)
    except BadInput as error:
        raise error.at(name) from None


def _refuse_bomb(member: zipfile.ZipInfo, limits: Limits) -> None:
    ratio = member.file_size / max(member.compress_size, 1)
    large = member.file_size > limits.zip_ratio_from_bytes
    if member.file_size > limits.zip_member_bytes or (large and ratio > limits.zip_ratio):
        raise BadInput(
            "the compressed array is too large to be safe",
            where=member.filename,
            found=f"{member.file_size} bytes from {member.compress_size}",
            expected=f"up to {limits.zip_member_bytes} bytes and {limits.zip_ratio} times",
        )
