"""An ``.npy`` file as a data set: its claims are checked before anything is allocated.

Never unpickles: files with object arrays are refused.
"""

from __future__ import annotations

import math
import os
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy

from anymae.data.sources.arrays import Arrays
from anymae.data.sources.places import placed
from anymae.errors import BadInput

_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """What a ``.npy`` header says; ``start`` is the byte at which the numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int


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


def read_header(file: IO[bytes], size: int) -> Header:
    """The header of an npy file of ``size`` bytes. Raises ``BadInput`` if it claims more."""
    try:
        version = npy.read_magic(file)
        shape, fortran, dtype = _READERS[version](file)
    except Exception as error:
        raise BadInput(
            "the npy header cannot be read",
            found=type(error).__name__,
            expected="format 1.0 or 2.0, as numpy.save writes it",
        ) from error
    if dtype.hasobject:
        raise BadInput("object arrays are not read: they are pickles", found=f"dtype {dtype}")
    start = file.tell()
    claimed = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or claimed > size - start:
        raise BadInput(
            "the header claims what is not in the file",
            found=f"shape {shape} of {dtype}, {claimed} bytes",
            expected=f"at most the {size - start} bytes after the header",
        )
    return Header(shape, fortran, dtype, start)
