"""Files: csv and Parquet as batches of rows, read into memory or mapped from a converted copy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anymae.csv_names import refuse_many, refuse_numbers
from anymae.errors import AnyMAEError, BadInput
from anymae.limits import LIMITS
from anymae.modalities.tabular.arrow import memory_table, pyarrow, refuse_twins
from anymae.modalities.tabular.mapped import MappedTable, mapped_copy
from anymae.modalities.tabular.tables import Table

ENDINGS = (".csv", ".tsv", ".parquet")
_BLOCK_BYTES = 8 << 20
_ROWS = 16_384


def open_files(paths: Sequence[str], missing: tuple[str, ...], memory_bytes: int) -> Table:
    """The rows of files with the same columns, one file after another.

    Up to ``memory_bytes`` they are read into memory; larger ones are converted, batch by batch, to
    a copy in the cache folder which is mapped. Raises ``BadInput`` naming a file that cannot be
    read or has other columns.
    """
    pa = pyarrow(paths[0])
    kinds = [_kind(path) for path in paths]
    if len(set(kinds)) > 1:
        raise BadInput(
            "tables of one data set are of one kind", found=", ".join(sorted(set(kinds)))
        )
    files: _Files = (_Parquet if kinds[0] == "parquet" else _Csv)(paths, missing)
    if files.size <= memory_bytes:
        rows = pa.Table.from_batches(list(files.batches()), files.schema)
        with _reading(paths[0]):
            table: Table = memory_table(rows)
    else:
        table = MappedTable(mapped_copy(paths, missing, files.schema, files.batches))
    table.files = tuple(zip(paths, files.rows, strict=True))
    return table


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Errors inside become one ``BadInput`` that names the file."""
    try:
        yield
    except BadInput as error:
        raise error.at(path) from None
    except (AnyMAEError, MemoryError):
        raise
    except Exception as error:  # pyarrow raises many types on damaged files
        raise BadInput(f"cannot be read as a table: {error}", where=path) from None


class _Files:
    """Files as batches: ``schema``, ``size`` in bytes when decoded, the number of ``rows`` of each,
    and ``batches()``."""

    schema: Any
    size: int
    rows: list[int]

    def batches(self) -> Iterator[Any]:
        raise NotImplementedError


class _Parquet(_Files):
    def __init__(self, paths: Sequence[str], missing: tuple[str, ...]) -> None:
        self.paths, self.size, self.rows = paths, 0, []
        for path in paths:
            with _reading(path):
                self._add(path)

    def _add(self, path: str) -> None:
        """Look at one more file, but not at its rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(path)
        schema = _without_index(file.schema_arrow).remove_metadata()
        if not self.rows:
            self.schema = schema
        _refuse_other(path, schema.names, self.schema.names, self.paths[0])
        self.schema = pa.unify_schemas([self.schema, schema], promote_options="permissive")
        self.rows.append(file.metadata.num_rows)
        for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
            self.size += group.total_byte_size
            if group.num_rows * group.num_columns > LIMITS.parquet_group_values:
                raise BadInput(
                    "the row group is too large to decode",
                    where=path,
                    found=f"{group.num_rows * group.num_columns} values",
                    expected=f"up to {LIMITS.parquet_group_values}",
                    hint="Write the file with a smaller row_group_size.",
                )

    def batches(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = self.schema.names
        for path in self.paths:
            with _reading(path), pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(_ROWS, columns=names, use_threads=False):
                    rows = pa.Table.from_batches([batch]).select(names).cast(self.schema)
                    yield from rows.combine_chunks().to_batches()


class _Csv(_Files):
    """Texts first: the type of a column is the narrowest that all its cells can have."""

    def __init__(self, paths: Sequence[str], missing: tuple[str, ...]) -> None:
        import pyarrow as pa

        self.paths, self.missing = paths, missing
        self.size, self.rows = 0, [0] * len(paths)
        self.names: list[str] = []
        for place, path in enumerate(paths):
            with _reading(path):
                names = [name.strip() for name in _header(path)]
                refuse_twins(names)
                refuse_numbers(names)
                if not place:
                    self.names = names
                _refuse_other(path, names, self.names, paths[0])
                self.size += os.path.getsize(path)
        narrow = [pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.large_string()]
        fitting = {name: list(narrow) for name in self.names}
        for place, batch in self._texts():
            self.rows[place] += batch.num_rows
            for name, column in zip(self.names, batch.columns, strict=True):
                fitting[name] = [kind for kind in fitting[name] if _fits(column, kind)]
        self.schema = pa.schema([(name, fitting[name][0]) for name in self.names])

    def batches(self) -> Iterator[Any]:
        import pyarrow as pa

        for _, batch in self._texts():
            columns = [
                column.cast(field.type)
                for column, field in zip(batch.columns, self.schema, strict=True)
            ]
            yield pa.record_batch(columns, schema=self.schema)

    def _texts(self) -> Iterator[tuple[int, Any]]:
        """The place of a file and a batch of its texts, without spaces around them, null where a
        word says missing."""
        import pyarrow as pa
        import pyarrow.compute as pc

        missing = pa.array(self.missing, pa.large_string())
        nothing = pa.scalar(None, pa.large_string())
        for place, path in enumerate(self.paths):
            with _reading(path):
                for batch in _raw(path):
                    columns = []
                    for name, found in zip(self.names, _order(batch, self), strict=True):
                        column = pc.utf8_trim_whitespace(batch.column(found))
                        _refuse_odd(column, name, path)
                        said = pc.is_in(column, value_set=missing)
                        columns.append(pc.if_else(said, nothing, column))
                    yield place, pa.record_batch(columns, names=self.names)


def _raw(path: str) -> Any:
    """The batches of a file, all cells texts."""
    import pyarrow as pa
    from pyarrow import csv

    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=_delimiter(path)),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(_header(path), pa.large_string()), strings_can_be_null=False
        ),
    )


def _order(batch: Any, files: _Csv) -> list[int]:
    """Where the columns of the first file are in a batch of another."""
    found = [name.strip() for name in batch.schema.names]
    return [found.index(name) for name in files.names]


def _header(path: str) -> list[str]:
    from pyarrow import csv

    with open(path, "rb") as file:
        refuse_many(file.readline(_BLOCK_BYTES), _delimiter(path))
    options = csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    parse = csv.ParseOptions(delimiter=_delimiter(path))
    return [str(name) for name in csv.open_csv(path, options, parse).schema.names]


def _fits(column: Any, kind: Any) -> bool:
    import pyarrow as pa

    try:
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _refuse_odd(column: Any, name: str, path: str) -> None:
    import pyarrow.compute as pc

    longest = pc.max(pc.binary_length(column)).as_py() or 0
    if longest > LIMITS.csv_field_bytes:
        raise BadInput(
            "a field is too long",
            where=f"{path}, column {name!r}",
            found=f"{longest} bytes",
            expected=f"up to {LIMITS.csv_field_bytes}",
        )
    if pc.any(pc.match_substring(column, "\0")).as_py():
        raise BadInput("a NUL byte in a text", where=f"{path}, column {name!r}")


def _refuse_other(path: str, found: Sequence[str], wanted: Sequence[str], first: str) -> None:
    if sorted(found) != sorted(wanted):
        raise BadInput(
            "the columns differ from those of the first file",
            where=path,
            found=", ".join(map(repr, found)),
            expected=f"{', '.join(map(repr, wanted))} as in {first}",
        )


def _without_index(schema: Any) -> Any:
    """A schema without the unnamed index that pandas writes."""
    for place in reversed(range(len(schema.names))):
        if schema.names[place].startswith("__index_level_"):
            schema = schema.remove(place)
    refuse_twins(schema.names)
    return schema


def _kind(path: str) -> str:
    return path.lower().rpartition(".")[2]


def _delimiter(path: str) -> str:
    return "\t" if _kind(path) == "tsv" else ","
