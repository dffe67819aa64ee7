"""The ``.npy`` format: what a header claims is held against the file before anything is allocated.

Never unpickles: object arrays are refused.
"""

from __future__ import annotations

import math
import os
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy

from anymae.errors import BadInput

_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """What a ``.npy`` header says; ``start`` is the byte at which the numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int


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


def read_npy(file: IO[bytes], name: str) -> np.ndarray:
    """The array in an open npy file called ``name``. Raises ``BadInput`` naming it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        read_header(file, size)
    except BadInput as error:
        raise error.at(name) from None
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)
