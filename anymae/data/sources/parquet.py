"""Parquet files: rows addressed by (file, row group, row), decoded a row group at a time."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from anymae.adapter import Adapter
from anymae.data.sources.columns import choose, opened
from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.parquet_file import class_names, is_index, is_plain_type, open_file
from anymae.data.sources.places import placed
from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput
from anymae.limits import Limits


class Parquet(Source):
    """Rows of Parquet files with the same columns; each process keeps a few decoded row groups.

    A column of bytes, or of {bytes, path} as Hugging Face writes them, is decoded by the adapter;
    without one a row is chosen from as from any dictionary (see ``columns``).
    """

    def __init__(
        self, paths: Sequence[str], adapter: Adapter, limits: Limits, label_key: str | None = None
    ) -> None:
        self.paths = list(paths)
        self.adapter = adapter
        self.limits = limits
        files = [open_file(path) for path in self.paths]
        self.schema_names = self._common_columns(files)
        schema = files[0].schema_arrow
        with placed(self.paths[0]):
            self.columns = choose(
                self.schema_names,
                lambda name: is_plain_type(schema.field(name).type),
                adapter.name,
                label_key,
            )
        groups = [
            (number, group, file.metadata.row_group(group).num_rows)
            for number, file in enumerate(files)
            for group in range(file.metadata.num_row_groups)
        ]
        self.groups = np.array(groups, dtype=np.int64).reshape(-1, 3)
        self.starts = np.concatenate([[0], self.groups[:, 2].cumsum()])
        self._class_names = class_names(schema, self.columns.label)
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def _common_columns(self, files: Sequence[Any]) -> list[str]:
        first, *others = ([n for n in f.schema_arrow.names if not is_index(n)] for f in files)
        for path, names in zip(self.paths[1:], others, strict=True):
            if sorted(names) != sorted(first):
                raise BadInput(
                    "the columns differ from those of the first file",
                    where=path,
                    found=", ".join(map(repr, names)),
                    expected=f"{', '.join(map(repr, first))} as in {self.paths[0]}",
                )
        return first

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict()}

    def __len__(self) -> int:
        return int(self.starts[-1])

    def _address(self, index: int) -> tuple[int, int]:
        """(row group, row in it) of a sample."""
        group = int(np.searchsorted(self.starts, index, side="right")) - 1
        return group, index - int(self.starts[group])

    def where(self, index: int) -> str:
        group, _ = self._address(index)
        number = self.groups[group, 0]
        first = int(np.argmax(self.groups[:, 0] == number))
        return f"{self.paths[number]}[row {index - int(self.starts[first])}]"

    def fingerprint(self) -> str:
        names = [os.path.basename(path) for path in self.paths]
        return digest("parquet", len(self), names, self.schema_names, self.groups.tobytes())

    def _load(self, index: int) -> Any:
        group, row = self._address(index)
        values = self._group(group).slice(row, 1).to_pylist()[0]
        if self.columns.sample is None:
            return values
        return opened(values[self.columns.sample], self.adapter, self.where(index))

    def _group(self, group: int) -> Any:
        if group not in self._kept:
            self._kept[group] = self._decode(group)
            size = sum(table.nbytes for table in self._kept.values())
            while size > self.limits.parquet_kept_bytes and len(self._kept) > 1:
                size -= self._kept.popitem(last=False)[1].nbytes
        self._kept.move_to_end(group)
        return self._kept[group]

    def _decode(self, group: int) -> Any:
        number, within, _ = self.groups[group].tolist()
        file = open_file(self.paths[number])
        wanted = (
            [self.columns.sample]
            if self.columns.sample is not None
            else [name for name in self.schema_names if name != self.columns.label]
        )
        claimed = file.metadata.row_group(within)
        values = sum(claimed.column(i).num_values for i in range(claimed.num_columns))
        if values > self.limits.parquet_group_values:
            raise BadInput(
                "the row group is too large to decode",
                where=f"row group {within}",
                found=f"{values} values",
                expected=f"up to {self.limits.parquet_group_values}",
                hint="Write the file with a smaller row_group_size.",
            )
        return file.read_row_group(within, columns=wanted, use_threads=False)

    def _read_labels(self) -> Labels:
        name = self.columns.label
        if name is None:
            return Labels()
        values: list[Any] = []
        for path in self.paths:
            with placed(path):
                values += open_file(path).read(columns=[name]).column(name).to_pylist()
        return as_labels(values, len(self), self._class_names)
