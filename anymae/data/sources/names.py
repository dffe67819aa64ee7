"""Names: millions of file names in two arrays.

A list of ten million strings is a gigabyte of objects whose reference counts every forked loader
worker would touch, and so copy. Two arrays are shared and pickle at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np


class Names(Sequence[str]):
    """An immutable sequence of strings; also of file names that are not valid text."""

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        ends = np.cumsum([0, *(len(name) for name in encoded)], dtype=np.int64)
        self._ends = ends
        self._text = b"".join(encoded)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, stop = self._ends[index], self._ends[index + 1]
        return self._text[start:stop].decode("utf-8", "surrogateescape")


def printable(name: str) -> str:
    """A name that can be shown: bytes that are no text become the replacement character."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
