"""Files: csv and Parquet as batches of rows, read into memory or mapped from a converted copy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from anymae.errors import BadInput
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
    try:
        files: _Files = (_Parquet if kinds[0] == "parquet" else _Csv)(paths, missing)
        if files.size <= memory_bytes:
            table = pa.Table.from_batches(list(files.batches()), files.schema)
            return memory_table(table)
        return MappedTable(mapped_copy(paths, missing, files.schema, files.batches))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        raise BadInput(f"cannot be read as a table: {error}", where=where) from None


class _Files:
    """Files as batches: ``schema``, ``size`` in bytes when decoded, and ``batches()``."""

    schema: Any
    size: int

    def batches(self) -> Iterator[Any]:
        raise NotImplementedError


class _Parquet(_Files):
    def __init__(self, paths: Sequence[str], missing: tuple[str, ...]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.paths = paths
        files = [pq.ParquetFile(path) for path in paths]
        schemas = [_without_index(file.schema_arrow) for file in files]
        for path, schema in zip(paths, schemas, strict=True):
            _refuse_other(path, schema.names, schemas[0].names, paths[0])
        self.schema = pa.unify_schemas(schemas, promote_options="permissive").remove_metadata()
        groups = [
            (path, file.metadata.row_group(i))
            for path, file in zip(paths, files, strict=True)
            for i in range(file.metadata.num_row_groups)
        ]
        self.size = sum(group.total_byte_size for _, group in groups)
        for path, group in groups:
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
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(_ROWS, columns=names, use_threads=False):
                    rows = pa.Table.from_batches([batch]).select(names).cast(self.schema)
                    yield from rows.combine_chunks().to_batches()


class _Csv(_Files):
    """Texts first: the type of a column is the narrowest that all its cells can have."""

    def __init__(self, paths: Sequence[str], missing: tuple[str, ...]) -> None:
        import pyarrow as pa

        self.paths, self.missing = paths, missing
        self.size = sum(os.path.getsize(path) for path in paths)
        self.names = [name.strip() for name in _header(paths[0])]
        refuse_twins(self.names)
        for path in paths[1:]:
            _refuse_other(path, [n.strip() for n in _header(path)], self.names, paths[0])
        narrow = [pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.large_string()]
        fitting = {name: list(narrow) for name in self.names}
        for batch in self._texts():
            for name, column in zip(self.names, batch.columns, strict=True):
                fitting[name] = [kind for kind in fitting[name] if _fits(column, kind)]
        self.schema = pa.schema([(name, fitting[name][0]) for name in self.names])

    def batches(self) -> Iterator[Any]:
        import pyarrow as pa

        for batch in self._texts():
            columns = [
                column.cast(field.type)
                for column, field in zip(batch.columns, self.schema, strict=True)
            ]
            yield pa.record_batch(columns, schema=self.schema)

    def _texts(self) -> Iterator[Any]:
        """Batches of texts without spaces around them, null where a word says missing."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv

        text = pa.large_string()
        missing = pa.array(self.missing, text)
        for path in self.paths:
            reader = csv.open_csv(
                path,
                read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
                parse_options=csv.ParseOptions(delimiter=_delimiter(path)),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(_header(path), text), strings_can_be_null=False
                ),
            )
            for batch in reader:
                columns = [pc.utf8_trim_whitespace(batch.column(n)) for n in _order(batch, self)]
                for name, column in zip(self.names, columns, strict=True):
                    _refuse_long(column, name, path)
                said = [pc.is_in(column, value_set=missing) for column in columns]
                yield pa.record_batch(
                    [
                        pc.if_else(gone, pa.scalar(None, text), column)
                        for gone, column in zip(said, columns, strict=True)
                    ],
                    names=self.names,
                )


def _order(batch: Any, files: _Csv) -> list[int]:
    """Where the columns of the first file are in a batch of another."""
    found = [name.strip() for name in batch.schema.names]
    return [found.index(name) for name in files.names]


def _header(path: str) -> list[str]:
    from pyarrow import csv

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


def _refuse_long(column: Any, name: str, path: str) -> None:
    import pyarrow.compute as pc

    longest = pc.max(pc.binary_length(column)).as_py() or 0
    if longest > LIMITS.csv_field_bytes:
        raise BadInput(
            "a field is too long",
            where=f"{path}, column {name!r}",
            found=f"{longest} bytes",
            expected=f"up to {LIMITS.csv_field_bytes}",
        )


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
