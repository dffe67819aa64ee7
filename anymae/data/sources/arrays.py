"""Arrays: samples on the first axis of a numpy array or tensor, and sequences of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


class Arrays(Source):
    """An array or tensor (n, ...): sample i is ``array[i]``, a view without gradient on the CPU.

    ``name`` is the file it came from, if any. Raises ``BadInput`` for a vector of single numbers
    and for dtypes that are not real numbers.
    """

    def __init__(self, array: np.ndarray | torch.Tensor, name: str | None = None) -> None:
        if isinstance(array, torch.Tensor):
            array = array.detach().cpu()
        self.array = array
        self.name = name
        refuse_dtype(array, name)
        refuse_shape(array, name)

    def __len__(self) -> int:
        return len(self.array)

    def where(self, index: int) -> str:
        return f"sample {index}" if self.name is None else f"{self.name}[row {index}]"

    def fingerprint(self) -> str:
        ends = [np.asarray(self._load(i)).tobytes() for i in (0, len(self) - 1)]
        return digest("arrays", tuple(self.array.shape), str(self.array.dtype), *ends)

    def _load(self, index: int) -> Any:
        sample = self.array[index]
        if isinstance(sample, torch.Tensor):
            return sample
        # torch takes neither numpy's subclasses (a memory map) nor the other byte order.
        return np.asarray(sample, dtype=sample.dtype.newbyteorder("="))


class Samples(Source):
    """A sequence whose items are samples, whatever they are: what ``Adapter.native`` returns.

    It may say itself where a sample comes from, by a method ``where(index)``.
    """

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def where(self, index: int) -> str:
        says = getattr(self.samples, "where", None)
        return says(index) if callable(says) else f"sample {index}"

    def fingerprint(self) -> str:
        ends = [outline(self.samples[i]) for i in (0, len(self) - 1)]
        return digest("samples", kind_of(self.samples), len(self), *ends)

    def _load(self, index: int) -> Any:
        return self.samples[index]


def refuse_dtype(value: Any, where: str | None = None) -> None:
    """Raise ``BadInput`` for arrays and tensors that do not hold real numbers.

    Object arrays in particular: they hold pickles when they come from a file.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise BadInput(
            "masked arrays are not read: their mask would be lost",
            where=where,
            hint="Use .filled(numpy.nan).",
        )
    real = True
    if isinstance(value, np.ndarray):
        real = value.dtype.kind in "biuf"
    elif isinstance(value, torch.Tensor):
        real = not (value.is_complex() or value.is_quantized or value.layout != torch.strided)
    if not real:
        kind = value.dtype if getattr(value, "layout", None) in (None, torch.strided) else "sparse"
        raise BadInput(
            "an array must hold real numbers",
            where=where,
            found=f"dtype {kind}",
            expected="floats, integers or booleans",
        )


def refuse_shape(array: np.ndarray | torch.Tensor, where: str | None = None) -> None:
    """Raise ``BadInput`` unless the shape is (samples, ...) with something in each sample."""
    shape = tuple(array.shape)
    if len(shape) < 2 or 0 in shape[1:]:
        raise BadInput(
            "an array of samples has them on its first axis",
            where=where,
            found=f"shape {shape}",
            expected="(samples, ...), nothing empty",
            hint="One single sample goes into a list." if 0 not in shape else None,
        )


def kind_of(value: object) -> str:
    """The full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def outline(sample: Any) -> str:
    """What a sample looks like from outside: its type, and shape and dtype if it has them."""
    shape = getattr(sample, "shape", None)
    shown = "" if shape is None else f" {tuple(shape)} {getattr(sample, 'dtype', '')}"
    return kind_of(sample) + shown
