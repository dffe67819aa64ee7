"""Hugging Face data sets, recognised without importing the library."""

from __future__ import annotations

import copy
from typing import Any

from anymae.adapter import Adapter
from anymae.data.sources.arrays import refuse_dtype
from anymae.data.sources.columns import Columns, choose, opened
from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


def hugging_face_kind(dataset: object) -> str | None:
    """``Dataset``, ``IterableDataset``, ``DatasetDict`` ... if it is one of theirs, else None."""
    for cls in type(dataset).__mro__:
        if cls.__module__.partition(".")[0] == "datasets":
            return cls.__name__
    return None


class HuggingFace(Source):
    """A ``datasets.Dataset``: columns chosen from its features, ``ClassLabel`` names kept.

    Encoded pictures, sounds and films reach the adapter as files, so that its limits hold; if
    the user set a format, or the adapter reads no files, values are what the library makes of
    them.
    """

    def __init__(self, dataset: Any, adapter: Adapter, label_key: str | None = None) -> None:
        features = dataset.features
        self.columns = choose(
            features,
            lambda name: _is_plain(features[name]),
            adapter.name,
            _label(features, label_key),
        )
        self.adapter = adapter
        self.dataset = dataset
        self.samples = _sample_columns(dataset, self.columns, adapter)

    def __len__(self) -> int:
        return len(self.dataset)

    def where(self, index: int) -> str:
        return f"row {index}"

    def fingerprint(self) -> str:
        names = sorted(map(str, self.dataset.features))
        return digest("datasets", len(self), names, str(self.dataset.split))

    def _load(self, index: int) -> Any:
        row = self.samples[index]
        if self.columns.sample is None:
            return row
        value = opened(row[self.columns.sample], self.adapter, self.where(index), paths=True)
        refuse_dtype(value)
        return value

    def _read_labels(self) -> Labels:
        name = self.columns.label
        if name is None:
            return Labels()
        values = self.dataset.select_columns([name]).with_format(None)[:][name]
        return as_labels(values, len(self), getattr(self.dataset.features[name], "names", None))


def _is_plain(feature: Any) -> bool:
    """Whether a column holds single numbers, texts or dates."""
    kind = type(feature).__name__
    return kind == "ClassLabel" or (kind == "Value" and "binary" not in str(feature.dtype))


def _label(features: Any, label_key: str | None) -> str | None:
    """The user's label column, or the only ``ClassLabel`` whatever its name."""
    named = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return named[0] if label_key is None and len(named) == 1 else label_key


def _sample_columns(dataset: Any, columns: Columns, adapter: Adapter) -> Any:
    if columns.sample is None:
        return dataset.select_columns([n for n in dataset.features if n != columns.label])
    chosen = dataset.select_columns([columns.sample])
    feature = dataset.features[columns.sample]
    if adapter.extensions and dataset.format["type"] is None and getattr(feature, "decode", False):
        undecoded = copy.copy(feature)
        undecoded.decode = False
        return chosen.cast_column(columns.sample, undecoded)
    return chosen


def refuse_splits(dataset: Any) -> None:
    """Raise the error for a dictionary of splits."""
    raise BadInput(
        "one data set is needed, these are several",
        found=f"the splits {', '.join(map(repr, dataset))}",
        hint="Pass one of them, e.g. dataset['train'].",
    )
