"""Arrow: what pandas, polars, pyarrow and files share, as cells."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from anymae.errors import BadInput, missing_extra
from anymae.modalities.tabular.cells import Cells, Numbers, Words
from anymae.modalities.tabular.tables import MemoryTable


def pyarrow(needed_for: str) -> Any:
    """The package, or ``MissingExtra``."""
    try:
        import pyarrow
    except ImportError:
        raise missing_extra("pyarrow", "tabular", needed_for) from None
    return pyarrow


def as_arrow(dataset: Any) -> Any | None:
    """A DataFrame of pandas or polars, or anything that speaks Arrow, as a ``pyarrow.Table``; None
    for other things. Raises ``BadInput`` for columns that Arrow cannot hold."""
    kind = type(dataset)
    package = kind.__module__.partition(".")[0]
    if package == "polars" and kind.__name__ == "LazyFrame":
        dataset = dataset.collect()
    from_pandas = package == "pandas" and kind.__name__ == "DataFrame"
    if not from_pandas and not hasattr(dataset, "__arrow_c_stream__"):
        return None
    pa = pyarrow(f"a {package} {kind.__name__}")
    try:
        if not from_pandas:
            return pa.table(dataset)
        names = [str(name) for name in dataset.columns]
        refuse_twins(names)
        renamed = dataset.set_axis(names, axis=1)
        return pa.Table.from_pandas(renamed, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"a column holds values of several kinds: {error}") from None


def memory_table(table: Any) -> MemoryTable:
    """A ``pyarrow.Table`` as cells. Raises ``BadInput`` for columns of one name or of other types
    than numbers, texts, booleans and times."""
    refuse_twins(table.column_names)
    return MemoryTable({name: cells_of(table.column(name), name) for name in table.column_names})


def refuse_twins(names: list[str]) -> None:
    """Raise ``BadInput`` if two columns share a name."""
    twins = sorted(name for name, count in Counter(names).items() if count > 1)
    if twins:
        raise BadInput("columns must have names of their own", found=f"{twins[0]!r} twice")


def cells_of(column: Any, name: str) -> Cells:
    """An Arrow array as cells. Raises ``BadInput`` naming the column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _coded(column)
    if _is_text(kind):
        return _coded(pc.dictionary_encode(column.cast(pa.large_string())))
    if pa.types.is_boolean(kind):
        codes = pc.fill_null(column.cast(pa.int64()), -1)
        return Words(_numpy(codes), ["False", "True"], "bool")
    if pa.types.is_integer(kind):
        return Numbers(_floats(column), "int")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return Numbers(_floats(column))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return Numbers(_floats(moments.cast(pa.int64())) / 1e6, "time")
    if pa.types.is_duration(kind):
        lengths = column.cast(pa.duration("us"), safe=False)
        return Numbers(_floats(lengths.cast(pa.int64())) / 1e6, "duration")
    raise BadInput(
        "a column must hold numbers, texts, booleans or times",
        where=f"column {name!r}",
        found=f"Arrow type {kind}",
        hint=f"Convert it, or leave it out: modality_options ignore=[{name!r}].",
    )


def _coded(column: Any) -> Words:
    """A dictionary array; categories keep the type they are of."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # without a chunk
            return Words(np.empty(0, np.int64), [])
    codes = _numpy(column.indices.cast(pa.int64()).fill_null(-1))
    names = column.dictionary.to_pylist()
    text = _is_text(column.type.value_type)
    whole = pa.types.is_integer(column.type.value_type)
    empty = np.array([name is None or name == "" for name in names] + [True])
    codes = np.where(empty[codes], -1, codes)
    return Words(codes, [str(name) for name in names], "int" if whole and not text else "text")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _floats(column: Any) -> np.ndarray:
    import pyarrow as pa

    return np.array(_numpy(column.cast(pa.float64(), safe=False).fill_null(np.nan)))


def _numpy(column: Any) -> np.ndarray:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))
