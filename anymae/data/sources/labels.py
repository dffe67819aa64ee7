"""Labels: whatever a user calls labels as one numpy array, and the names of its classes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from anymae.errors import BadInput


class Labels(NamedTuple):
    """``values``: int64 (n,) classes, float (n,) or (n, targets), or one array a sample (n,) of
    objects (masks, node labels); None without labels. ``classes`` names the integers."""

    values: np.ndarray | None = None
    classes: list[str] | None = None


def as_labels(raw: Any, count: int, classes: Sequence[Any] | None = None) -> Labels:
    """Labels of ``count`` samples from a tensor, an array, a Series or a sequence.

    Names become integers in sorted order. Raises ``BadInput`` for another length and for things
    that are neither numbers, names nor arrays of numbers.
    """
    values = _as_array(raw)
    if values.ndim == 0 or len(values) != count:
        raise BadInput(
            "labels and samples differ in number",
            found="a single value" if values.ndim == 0 else f"{len(values)} labels",
            expected=f"{count}, one a sample",
        )
    kind = values.dtype.kind
    if kind in "US":
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return Labels(codes.astype(np.int64), names.tolist())
    if kind not in "biufO":
        raise BadInput(
            "labels must be numbers or names", where="labels", found=f"dtype {values.dtype}"
        )
    if kind in "biu":
        values = values.astype(np.int64)
    return Labels(values, None if classes is None else [str(name) for name in classes])


def _as_array(raw: Any) -> np.ndarray:
    if isinstance(raw, torch.Tensor):
        raw = raw.detach().cpu()
        return (raw.float() if raw.dtype == torch.bfloat16 else raw).numpy()
    if hasattr(raw, "__array__"):
        raw = np.asarray(raw)
        if raw.dtype.kind != "O" or raw.ndim == 0:
            return raw
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Iterable):
        raise BadInput("not labels", where="labels", found=repr(raw)[:100], expected="a sequence")
    return _of_items([scalar(item) for item in raw])


def scalar(item: Any) -> Any:
    """A Python number from a number of numpy or torch; anything else as it is."""
    return item.item() if getattr(item, "ndim", None) == 0 else item


def _of_items(items: list[Any]) -> np.ndarray:
    if all(isinstance(item, str) for item in items):
        return np.array(items, dtype=str)
    if all(item is None or isinstance(item, numbers.Real) for item in items):
        # A missing number is NaN; a missing name has no such value and is refused below.
        array = np.array([math.nan if item is None else item for item in items])
        if array.dtype.kind != "O":
            return array
    kinds = [_kind(item) for item in items]
    if set(kinds) != {"array"}:
        row = next((row for row, kind in enumerate(kinds) if kind != kinds[0]), 0)
        raise BadInput(
            "labels must be all numbers or all names",
            where=f"label {row}",
            found=f"{items[row]!r:.100} after {items[0]!r:.100}" if row else f"{items[0]!r:.100}",
        )
    return _of_arrays(items)


def _kind(item: Any) -> str:
    if isinstance(item, str):
        return "name"
    return "number" if item is None or isinstance(item, (bytes, numbers.Number)) else "array"


def _of_arrays(items: Iterable[Any]) -> np.ndarray:
    """One array a sample: stacked if they agree in shape, else a vector of arrays."""
    arrays = []
    for row, item in enumerate(items):
        try:
            arrays.append(np.asarray(item))
        except ValueError as error:
            raise BadInput(str(error), where=f"label {row}") from error
        if arrays[-1].dtype.kind not in "biuf":
            raise BadInput(
                "a label must be a number, a name or an array of numbers",
                where=f"label {row}",
                found=f"{type(item).__name__} of dtype {arrays[-1].dtype}",
            )
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    vector = np.empty(len(arrays), dtype=object)
    for row, array in enumerate(arrays):
        vector[row] = array
    return vector
