"""Cells: one column of a table in memory, as numbers or as words.

Every kind of table is brought to these two before anything is learned or tokenized. A missing cell
(None, NaN, NaT, NA or an empty text) is NaN among numbers and -1 among words.

Shapes: n rows.
"""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anymae.errors import BadInput

Stored = Literal["float", "int", "bool", "text", "time", "duration"]
"""How the data hold a column, and get it back. Times and durations are seconds inside."""
EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Numbers:
    """``values`` (n,) float64, NaN where missing."""

    values: np.ndarray
    stored: Stored = "float"

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> Numbers:
        """The cells of some rows."""
        return Numbers(self.values[index], self.stored)


@dataclass(frozen=True)
class Words:
    """``codes`` (n,) int64 places in ``names``, -1 where missing."""

    codes: np.ndarray
    names: Sequence[str]
    stored: Stored = "text"

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: np.ndarray) -> Words:
        """The cells of some rows, with the names that occur there."""
        used, codes = np.unique(self.codes[index], return_inverse=True)
        missing = int(len(used) > 0 and used[0] < 0)
        return Words(codes - missing, [self.names[i] for i in used[missing:]], self.stored)


Cells = Numbers | Words


def of_array(array: np.ndarray, column: str) -> Cells:
    """A vector of numpy as cells. Raises ``BadInput`` naming the column."""
    kind = array.dtype.kind
    if kind == "b":
        return Words(array.astype(np.int64), ["False", "True"], "bool")
    if kind in "iu":
        return Numbers(array.astype(np.float64), "int")
    if kind == "f":
        return Numbers(array.astype(np.float64))
    if kind in "mM":
        unit = "datetime64[us]" if kind == "M" else "timedelta64[us]"
        seconds = np.where(np.isnat(array), np.nan, array.astype(unit).astype(np.int64) / 1e6)
        return Numbers(seconds, "time" if kind == "M" else "duration")
    if kind in "UO":
        return of_values(array.tolist(), column)
    raise BadInput(
        "a column must hold numbers, texts, booleans or times",
        where=f"column {column!r}",
        found=f"dtype {array.dtype}",
    )


def of_values(values: Sequence[Any], column: str) -> Cells:
    """Python values as cells; all that are not missing must be of one kind. Raises ``BadInput``
    naming the column."""
    plain = [None if is_missing(value) else _plain(value) for value in values]
    kinds = {_kind(value) for value in plain if value is not None}
    if kinds <= {"text"} and kinds:
        return _words(plain)
    if kinds == {"bool"}:
        codes = [-1 if value is None else int(value) for value in plain]
        return Words(np.array(codes, dtype=np.int64), ["False", "True"], "bool")
    if kinds <= {"int", "float", "bool"}:
        stored: Stored = "int" if kinds <= {"int", "bool"} and kinds else "float"
        return Numbers(_floats(plain, float), stored)
    if kinds == {"time"}:
        return Numbers(_floats(plain, _seconds), "time")
    if kinds == {"duration"}:
        return Numbers(_floats(plain, datetime.timedelta.total_seconds), "duration")
    raise BadInput(
        "a column must hold values of one kind: numbers, texts, booleans or times",
        where=f"column {column!r}",
        found=" and ".join(sorted(kinds)),
    )


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none."""
    if value is None or (isinstance(value, str) and value == ""):
        return True
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas, which is not imported here
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, float | np.floating) and math.isnan(value)


def _plain(value: Any) -> Any:
    """A Python value from a scalar of numpy or torch."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return value.astype(value.dtype.str[:4] + "[us]").item()
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _kind(value: Any) -> str:
    for name, types in _KINDS.items():
        if isinstance(value, types):
            return name
    return type(value).__name__


_KINDS: dict[str, Any] = {
    "text": str,
    "bool": bool,
    "int": numbers.Integral,
    "float": (numbers.Real, decimal.Decimal),
    "time": (datetime.datetime, datetime.date),
    "duration": datetime.timedelta,
}


def _words(values: Sequence[str | None]) -> Words:
    places: dict[str, int] = {}
    codes = [-1 if v is None else places.setdefault(v, len(places)) for v in values]
    return Words(np.array(codes, dtype=np.int64), list(places))


def _floats(values: Sequence[Any], convert: Any) -> np.ndarray:
    floats = (math.nan if value is None else convert(value) for value in values)
    return np.fromiter(floats, dtype=np.float64, count=len(values))


def _seconds(value: datetime.date) -> float:
    """Since 1970; times without a zone are taken as they are, others in UTC."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return (value - EPOCH).total_seconds()
