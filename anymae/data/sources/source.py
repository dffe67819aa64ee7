"""Source: the one interface behind everything a user may pass as a data set.

A source is addressed by index, so order, sharding and resuming are functions of integers alone.
It survives pickling (spawned loader workers) and forking: files are opened when a sample is read.
"""

from __future__ import annotations

import copy
import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.places import placed
from anymae.errors import BadInput


class Source(ABC):
    """n samples by index, perhaps with labels. Nothing here looks at labels until asked."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def where(self, index: int) -> str:
        """The place of a sample in words a user recognises: a file, ``shard.tar[member]``."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A cheap identity that stays the same between runs and machines as long as kind, number
        and names (or shapes) of the samples do: another data set is noticed at resume."""

    @abstractmethod
    def _load(self, index: int) -> Any:
        """The sample at a valid index; whatever it raises is given its place by the caller."""

    def _read_labels(self) -> Labels:
        return Labels()

    def __getitem__(self, index: int) -> Any:
        """A sample, raw, as the adapter's ``tokenize`` takes it.

        Raises ``BadInput`` naming ``where(index)``, and ``IndexError`` past the end.
        """
        index = self._checked(index)
        with placed(lambda: self.where(index)):
            return self._load(index)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def _checked(self, index: int) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"sample {position} of {len(self)}")
        return position % len(self)

    @cached_property
    def _labels(self) -> Labels:
        return self._read_labels()

    @property
    def labels(self) -> np.ndarray | None:
        """All labels, first axis n; names of classes as integers. None if there are none."""
        return self._labels.values

    @property
    def classes(self) -> list[str] | None:
        """The names behind integer labels, where the data set has names."""
        return self._labels.classes

    def label(self, index: int) -> Any | None:
        """The label of one sample."""
        index = self._checked(index)
        return None if self.labels is None else self.labels[index]

    def with_labels(self, labels: Any, classes: Sequence[str] | None = None) -> Self:
        """The same samples with other labels, one each. Raises ``BadInput``."""
        other = copy.copy(self)
        other.__dict__["_labels"] = as_labels(labels, len(self), classes)
        return other


class Subset(Source):
    """Some samples of another source, in the order of ``indices`` (m,)."""

    def __init__(self, source: Source, indices: Sequence[int] | np.ndarray) -> None:
        self.source = source
        self.indices = np.asarray(indices, dtype=np.int64)
        outside = (self.indices < 0) | (self.indices >= len(source))
        if self.indices.ndim != 1 or outside.any():
            raise BadInput(
                "not indices of samples",
                where="Subset",
                found=self.indices[outside][:3] if self.indices.ndim == 1 else self.indices.shape,
                expected=f"a vector of numbers from 0 to {len(source) - 1}",
            )

    def __len__(self) -> int:
        return len(self.indices)

    def where(self, index: int) -> str:
        return self.source.where(int(self.indices[index]))

    def fingerprint(self) -> str:
        return digest("subset", self.source.fingerprint(), self.indices.tobytes())

    def _load(self, index: int) -> Any:
        return self.source[int(self.indices[index])]

    def _read_labels(self) -> Labels:
        values = self.source.labels
        return Labels(None if values is None else values[self.indices], self.source.classes)


def digest(*parts: object) -> str:
    """A short hash of parts whose ``repr`` does not depend on process or machine."""
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]
