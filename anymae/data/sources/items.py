"""Items: torch data sets, lists and other things with ``[i]`` and ``len``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anymae.adapter import Adapter
from anymae.data.sources.arrays import kind_of, outline, refuse_dtype
from anymae.data.sources.columns import choose, is_plain, opened
from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.places import placed
from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


class Items(Source):
    """A map-style data set whose items are samples, (sample, label) or dictionaries.

    A tuple of two is (sample, label) unless the adapter says ``pair_is_sample``; a tuple of one is
    its content; other tuples are samples. ``label_key`` names the label in dictionaries.
    Labels come from ``.targets`` or ``.labels`` without loading samples, else from the items.
    """

    def __init__(self, dataset: Any, adapter: Adapter, label_key: str | None = None) -> None:
        self.dataset = dataset
        self.adapter = adapter
        self.label_key = label_key
        with placed(f"len() of {kind_of(dataset)}"):
            self.length = len(dataset)

    def __len__(self) -> int:
        return self.length

    def where(self, index: int) -> str:
        return f"sample {index}"

    def fingerprint(self) -> str:
        ends: list[str] = []
        # Items of other types may be expensive, or random, to make.
        if isinstance(self.dataset, (list, tuple)):
            ends = [outline(self.dataset[i]) for i in (0, -1)]
        return digest("items", kind_of(self.dataset), self.length, *ends)

    def _load(self, index: int) -> Any:
        return self._split(index, decode=True)[0]

    def _split(self, index: int, decode: bool) -> tuple[Any, Any]:
        item = self.dataset[index]
        label = None
        if isinstance(item, Mapping):
            columns = choose(item, lambda k: is_plain(item[k]), self.adapter.name, self.label_key)
            item, label = columns.split(item)
            if decode and columns.sample is not None:
                item = opened(item, self.adapter, self.where(index), paths=True)
        elif isinstance(item, tuple) and len(item) == 1:
            item = item[0]
        elif isinstance(item, tuple) and len(item) == 2 and not self._is_sample(item):
            item, label = item
        refuse_dtype(item)
        return item, label

    def _is_sample(self, pair: tuple[Any, Any]) -> bool:
        return self.adapter.pair_is_sample and not isinstance(pair[0], tuple)

    def _label_of(self, index: int) -> Any:
        with placed(lambda: self.where(index)):
            return self._split(index, decode=False)[1]

    def _read_labels(self) -> Labels:
        classes = _known_classes(self.dataset)
        known = None if self.label_key else _known_labels(self.dataset)
        if known is not None and len(known) == self.length:
            return as_labels(known, self.length, classes)
        labels = []
        for index in range(self.length):
            labels.append(self._label_of(index))
            if labels[0] is None:
                return Labels()
            if labels[-1] is None:
                raise BadInput("no label, but sample 0 has one", where=self.where(index))
        return as_labels(labels, self.length, classes)


def _known_labels(dataset: Any) -> Any | None:
    """The labels a data set carries as a whole; also through ``torch.utils.data.Subset``."""
    indices = getattr(dataset, "indices", None)
    if indices is not None and hasattr(dataset, "dataset"):
        whole = _known_labels(dataset.dataset)
        return None if whole is None else [whole[i] for i in indices]
    # With a transform the carried labels are not those that the items have.
    if getattr(dataset, "target_transform", None) is not None:
        return None
    for name in ("targets", "labels"):
        values = getattr(dataset, name, None)
        if hasattr(values, "__len__") and not isinstance(values, str):
            return values
    return None


def _known_classes(dataset: Any) -> list[str] | None:
    """The names of the classes a data set carries, as torchvision's do."""
    names = getattr(dataset, "classes", None)
    if names is None and hasattr(dataset, "dataset"):
        return _known_classes(dataset.dataset)
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return list(names)
    return None
