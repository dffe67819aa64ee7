"""An ``.npy`` file as a data set: mapped, after a look at what its header claims."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anymae.data.sources.arrays import Arrays
from anymae.data.sources.places import placed
from anymae.errors import BadInput
from anymae.npy import read_header


class MappedArray(Arrays):
    """An ``.npy`` file, mapped into memory, not loaded; pickled as its path."""

    def __init__(self, path: str) -> None:
        with placed(path):
            array = _mapped(path)
        super().__init__(array, name=path)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "array"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with placed(state["name"]):
            self.array = _mapped(state["name"])


def _mapped(path: str) -> np.ndarray:
    with open(path, "rb") as file:
        header = read_header(file, os.path.getsize(path))
    if 0 in header.shape:
        raise BadInput("no numbers in the array", found=f"shape {header.shape}")
    # Copy on write: torch warns about arrays that cannot be written to.
    return np.memmap(
        path,
        dtype=header.dtype,
        mode="c",
        offset=header.start,
        shape=header.shape,
        order="F" if header.fortran else "C",
    )
