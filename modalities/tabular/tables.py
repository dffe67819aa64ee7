"""Tables: rows by index, gathered many at once.

A row is a place in a table and nothing else, so that a batch of rows is read column by column.

Shapes: n rows of a table, m rows of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch

from anymae.errors import BadInput
from anymae.modalities.tabular.cells import Cells, of_array, of_values


class Table(ABC):
    """n rows of named columns."""

    names: tuple[str, ...]
    partial: bool = False
    """Whether a column that is not there is missing in all rows, as keys are in mappings."""
    files: tuple[tuple[str, int], ...] = ()
    """The files that hold the rows, in order, and how many each does; none for other tables."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def gather(self, index: np.ndarray, names: Sequence[str]) -> dict[str, Cells]:
        """The cells of some columns in the rows ``index`` (m,), in that order."""

    def where(self, index: int) -> str:
        """The place of a row, in words."""
        row = index
        for path, rows in self.files:
            if row < rows:
                return f"{path}[row {row}]"
            row -= rows
        return f"sample {index}"

    def column(self, name: str) -> Cells:
        """All cells of one column."""
        return self.gather(np.arange(len(self)), [name])[name]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a table and the row's place in it."""

    table: Table
    index: int

    @property
    def shape(self) -> tuple[int]:
        """(columns,): by this a data set is recognised when a run is resumed."""
        return (len(self.table.names),)


class Rows(Sequence[Row]):
    """All rows of a table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def where(self, index: int) -> str:
        """The place of a row: a file and the row in it, if it came from one."""
        return self.table.where(index)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [Row(self.table, i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return Row(self.table, index % len(self))


class Without(Table):
    """A table but for one column."""

    def __init__(self, table: Table, name: str) -> None:
        self.names = tuple(n for n in table.names if n != name)
        self.partial, self.files = table.partial, table.files
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def gather(self, index: np.ndarray, names: Sequence[str]) -> dict[str, Cells]:
        return self._table.gather(index, names)


class MemoryTable(Table):
    """Columns held in memory, all of one length."""

    def __init__(self, cells: Mapping[str, Cells], partial: bool = False) -> None:
        self.names = tuple(cells)
        self.partial = partial
        self._cells = dict(cells)
        lengths = {name: len(column) for name, column in cells.items()}
        if len(set(lengths.values())) > 1:
            raise BadInput("columns differ in length", found=lengths)
        self._length = next(iter(lengths.values()), 0)

    def __len__(self) -> int:
        return self._length

    def gather(self, index: np.ndarray, names: Sequence[str]) -> dict[str, Cells]:
        return {name: self._cells[name].take(index) for name in names}

    def column(self, name: str) -> Cells:
        return self._cells[name]


def of_columns(columns: Mapping[str, Any]) -> MemoryTable:
    """A table from a mapping of names to vectors. Raises ``BadInput``."""
    return MemoryTable({str(name): _vector(values, str(name)) for name, values in columns.items()})


def of_matrix(matrix: np.ndarray) -> MemoryTable:
    """A table from (n, columns), which are named by their places, or from a structured array."""
    if matrix.dtype.names is not None:
        return of_columns({name: matrix[name] for name in matrix.dtype.names})
    return of_columns({str(i): matrix[:, i] for i in range(matrix.shape[1])})


def of_samples(samples: Iterable[Any]) -> Table:
    """Samples as one table: rows of one table, or mappings from names to values and vectors. In a
    mapping what is not named is missing. Raises ``BadInput``."""
    samples = list(samples)
    tables = {id(sample.table) for sample in samples if isinstance(sample, Row)}
    if len(tables) == 1 and all(isinstance(sample, Row) for sample in samples):
        table = samples[0].table
        index = np.fromiter((sample.index for sample in samples), np.int64, len(samples))
        found = MemoryTable(table.gather(index, table.names), table.partial)
        found.files = table.files
        return found
    rows = [_mapping(sample) for sample in samples]
    names = {name: None for row in rows for name in row}
    columns = {name: of_values([row.get(name) for row in rows], name) for name in names}
    return MemoryTable(columns, partial=all(isinstance(sample, Mapping) for sample in samples))


def _mapping(sample: Any) -> Mapping[str, Any]:
    if isinstance(sample, Mapping):
        return {str(name): value for name, value in sample.items()}
    if isinstance(sample, np.void) and sample.dtype.names is not None:
        return {name: sample[name] for name in sample.dtype.names}
    if isinstance(sample, torch.Tensor):
        sample = sample.numpy(force=True)
    if isinstance(sample, np.ndarray | list | tuple) and np.ndim(sample) == 1:
        return {str(i): value for i, value in enumerate(sample)}
    raise BadInput(
        "not a row of a table",
        found=f"{type(sample).__name__} {getattr(sample, 'shape', '')}".strip(),
        expected="a mapping from column names to values, or a vector",
    )


def _vector(values: Any, name: str) -> Cells:
    if isinstance(values, torch.Tensor):
        values = values.numpy(force=True)
    if hasattr(values, "__array__"):
        values = np.asarray(values)
        if values.ndim != 1:
            raise BadInput(
                "a column must be a vector", where=f"column {name!r}", found=values.shape
            )
        return of_array(values, name)
    return of_values(list(values), name)
