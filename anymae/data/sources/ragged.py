"""Ragged: samples of unequal length laid end to end in one array, cut by offsets."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from anymae.adapter import Adapter
from anymae.data.sources.arrays import refuse_dtype
from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


class Ragged(Source):
    """Sample i is ``array[offsets[i]:offsets[i + 1]]``; offsets (n + 1,).

    A vector of bytes holds encoded files (JPEG ...) if the adapter reads files. Raises
    ``BadInput`` unless the offsets rise from 0 to the length of the array.
    """

    def __init__(self, array: np.ndarray, offsets: np.ndarray, adapter: Adapter, name: str) -> None:
        refuse_dtype(array, name)
        self.array = array
        self.offsets = offsets
        self.adapter = adapter
        self.name = name
        self.encoded = array.ndim == 1 and array.dtype == np.uint8 and bool(adapter.extensions)
        self._refuse_offsets()

    def _refuse_offsets(self) -> None:
        offsets = self.offsets
        whole = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1
        if whole and self.array.ndim > 0:
            rising = bool((offsets[1:] >= offsets[:-1]).all())
            if rising and offsets[0] == 0 and offsets[-1] == len(self.array):
                return
        raise BadInput(
            "offsets do not cut the array into samples",
            where=self.name,
            found=f"offsets {offsets.shape} {offsets.dtype} from {offsets.ravel()[:1]} to "
            f"{offsets.ravel()[-1:]}, array {self.array.shape}",
            expected="integers (n + 1,) that rise from 0 to the length of the array",
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def where(self, index: int) -> str:
        return f"{self.name}[row {index}]"

    def fingerprint(self) -> str:
        return digest("ragged", self.array.shape, str(self.array.dtype), self.offsets.tobytes())

    def _load(self, index: int) -> Any:
        piece = self.array[int(self.offsets[index]) : int(self.offsets[index + 1])]
        if self.encoded:
            return self.adapter.read(io.BytesIO(piece.tobytes()), self.where(index))
        return piece
