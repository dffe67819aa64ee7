"""Columns: which part of an item is the sample and which the label.

One rule for dictionaries, Hugging Face features and Parquet schemas. A column is *plain* if it
holds a number, a text or a date, and *rich* otherwise (arrays, pictures, encoded files):

- with rich columns the sample is the first of: the modality's name, ``SAMPLE_KEYS``, the only rich
  column left beside the label. Anything else is ambiguous and refused, never guessed;
- with plain columns only, the item is a row of a table and the whole row but the label is the
  sample. There ``x`` and ``y`` are ordinary columns: only ``ROW_LABEL_KEYS`` are labels.
"""

from __future__ import annotations

import datetime
import decimal
import io
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from anymae.adapter import Adapter, read_file
from anymae.data.sources.places import placed
from anymae.errors import BadInput

SAMPLE_KEYS: Final = ("sample", "input", "inputs", "x", "data", "pixel_values")
LABEL_KEYS: Final = ("label", "labels", "y", "target", "targets")
ROW_LABEL_KEYS: Final = ("label", "labels", "target", "targets")
_PLAIN: Final = (str, numbers.Number, np.generic, datetime.date, datetime.time, datetime.timedelta)


class Columns(NamedTuple):
    """``sample`` None: the whole row but the label is the sample. ``label`` None: there is none."""

    sample: str | None
    label: str | None

    def split(self, item: Mapping[str, Any]) -> tuple[Any, Any]:
        """(sample, label or None) of one item."""
        label = None if self.label is None else item[self.label]
        if self.sample is not None:
            return item[self.sample], label
        return {name: value for name, value in item.items() if name != self.label}, label


def choose(
    names: Iterable[str],
    plain: Callable[[str], bool],
    modality: str,
    label: str | None = None,
) -> Columns:
    """The columns of sample and label by the rule above; ``label`` if the user named one."""
    names = list(names)
    if label is not None and label not in names:
        raise BadInput("no such label column", found=_listed(names), expected=repr(label))
    rich = [name for name in names if not plain(name) and name != label]
    if label is None:
        keys = LABEL_KEYS if rich else ROW_LABEL_KEYS
        label = next((key for key in keys if key in names and key != modality), None)
        rich = [name for name in rich if name != label]
    if not rich:
        if all(name == label for name in names):
            raise BadInput("nothing but a label", found=_listed(names))
        return Columns(None, label)
    for key in (modality, *SAMPLE_KEYS):
        if key in rich:
            return Columns(key, label)
    if len(rich) == 1:
        return Columns(rich[0], label)
    raise BadInput(
        "cannot tell which column is the sample",
        found=_listed(names),
        expected=f"one named {modality!r} or {', '.join(map(repr, SAMPLE_KEYS))}",
        hint="Rename the column, or keep only that one and the label.",
    )


def is_plain(value: Any) -> bool:
    """Whether a value is one number, text or date."""
    return (
        value is None
        or isinstance(value, (*_PLAIN, decimal.Decimal))
        or getattr(value, "ndim", None) == 0
    )


def opened(value: Any, adapter: Adapter, where: str, paths: bool = False) -> Any:
    """A column's value as a sample: encoded files decoded by the adapter, lists as arrays.

    Encoded are bytes and ``{"bytes": ..., "path": ...}``. ``paths``: a path without bytes may be
    followed.
    """
    name = where
    if isinstance(value, Mapping) and "bytes" in value:
        name = str(value.get("path") or where)
        if value["bytes"] is None and paths and value.get("path"):
            return read_file(adapter, name)
        value = value["bytes"]
    if value is None:
        raise BadInput("the sample is missing", where=where, found="null")
    if isinstance(value, (bytes, bytearray, memoryview)):
        with placed(where, name):
            return adapter.read(io.BytesIO(value), name)
    return _as_array(value) if isinstance(value, list) else value


def _as_array(value: list[Any]) -> Any:
    """Nested lists of numbers as an array; ragged lists and lists of other things unchanged."""
    try:
        array = np.asarray(value)
    except ValueError:
        return value
    return array if array.dtype.kind in "biuf" else value


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"columns {shown}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")
