"""Refill: a table with its missing cells filled, in the form it came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anymae.modalities.tabular.arrow import as_arrow
from anymae.modalities.tabular.cells import is_missing
from anymae.modalities.tabular.columns import OTHER


def refilled(dataset: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """``dataset`` with what is missing taken from ``rows``, one a row of it.

    A DataFrame of pandas or polars or a table of pyarrow gives the same again, anything else the
    ``rows``. A cell that is only known to be none of the frequent categories stays missing.
    """
    package = type(dataset).__module__.partition(".")[0]
    kind = type(dataset).__name__
    if package == "pandas" and kind == "DataFrame":
        return _pandas(dataset, rows)
    if package == "polars" and kind in ("DataFrame", "LazyFrame"):
        import polars as pl

        frame = dataset.collect() if kind == "LazyFrame" else dataset
        filled = [_filled(frame[name].to_list(), rows, name) for name in frame.columns]
        series = zip(frame.columns, filled, strict=True)
        return frame.with_columns(
            pl.Series(name, values, dtype=frame[name].dtype, strict=False)
            for name, values in series
            if values is not None
        )
    if package == "pyarrow" and as_arrow(dataset) is not None:
        return _arrow(as_arrow(dataset), rows)
    return list(rows)


def _pandas(frame: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    frame = frame.copy()
    for place, label in enumerate(frame.columns):
        column = frame.iloc[:, place]
        values = _filled(column.tolist(), rows, str(label))
        if values is not None:
            frame[label] = type(column)(values, index=frame.index, dtype=column.dtype)
    return frame


def _arrow(table: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    import pyarrow as pa

    for place, name in enumerate(table.column_names):
        values = _filled(table.column(place).to_pylist(), rows, name)
        if values is not None:
            kind = table.schema.field(place).type
            coded = pa.types.is_dictionary(kind)
            column = pa.array(values, kind.value_type if coded else kind)
            table = table.set_column(place, name, column.cast(kind) if coded else column)
    return table


def _filled(
    values: Sequence[Any], rows: Sequence[Mapping[str, Any]], name: str
) -> list[Any] | None:
    """The column with its missing cells filled; None if there was nothing to do."""
    gaps = [i for i, value in enumerate(values) if is_missing(value)]
    if not gaps or name not in rows[0]:
        return None
    filled = list(values)
    for i in gaps:
        if rows[i][name] != OTHER:
            filled[i] = rows[i][name]
    return filled
