"""Tables of pandas and files of tables: rows are time steps, columns are channels."""

from __future__ import annotations

import warnings
from typing import Any, BinaryIO

import numpy as np

from anymae.errors import BadInput, missing_extra
from anymae.modalities.timeseries.lines import read_csv
from anymae.modalities.timeseries.series import Series
from anymae.npy import read_npy

EXTENSIONS = (".csv", ".tsv", ".npy")
TIME_NAMES = ("date", "datetime", "time", "timestamp")


def is_frame(value: Any) -> bool:
    """Whether this is a pandas Series or DataFrame, asked without importing pandas."""
    kind = type(value)
    return kind.__module__.split(".")[0] == "pandas" and kind.__name__ in ("DataFrame", "Series")


def series_of(frame: Any, time_column: str | None = None) -> Any:
    """A pandas Series or DataFrame as a ``Series``, or as an array where it has no times.

    Times are ``time_column``, or else the index if it holds dates or numbers of its own, or else a
    column of dates, or one named date, datetime, time or timestamp. Raises ``BadInput`` for other
    columns that are not numbers.
    """
    import pandas as pd

    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if isinstance(frame.index, pd.MultiIndex):
        raise BadInput(
            "a table with several index levels holds several series",
            found=f"levels {list(frame.index.names)}",
            hint="Pass a list with one table a series.",
        )
    times = None
    if time_column is None and not isinstance(frame.index, pd.RangeIndex):
        times = _index_times(frame.index)
    if times is None:
        name = _time_column(frame, time_column)
        if name is not None:
            times, frame = _parsed(frame[name], name), frame.drop(columns=[name])
    values = _values(frame)
    return values if times is None else Series(values, times)


def _index_times(index: Any) -> np.ndarray | None:
    import pandas as pd

    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return _naive(index)
    if isinstance(index, pd.TimedeltaIndex):
        return index.total_seconds().to_numpy()
    return index.to_numpy() if pd.api.types.is_numeric_dtype(index.dtype) else None


def _naive(dates: Any) -> np.ndarray:
    """Dates with a time zone in universal time."""
    return (dates.tz_convert(None) if dates.tz is not None else dates).to_numpy()


def _time_column(frame: Any, named: str | None) -> Any:
    import pandas as pd

    if named is not None:
        if named not in frame.columns:
            raise BadInput(
                f"there is no column {named!r} with times",
                found=", ".join(map(repr, frame.columns)),
            )
        return named
    dates = [c for c in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[c].dtype)]
    called = [c for c in frame.columns if str(c).strip().lower() in TIME_NAMES]
    return next(iter([*dates, *called]), None)


def _parsed(column: Any, name: Any) -> np.ndarray:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that texts of no one format are slow
            return _naive(pd.DatetimeIndex(pd.to_datetime(column)))
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"column {name!r} cannot be read as times: {str(error).splitlines()[0]:.200}"
        ) from None


def _values(frame: Any) -> np.ndarray:
    import pandas as pd

    if not len(frame):
        raise BadInput("the table has no rows", found=f"columns {', '.join(map(repr, frame))}")
    for name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            wrong = pd.to_numeric(column, errors="coerce").isna() & column.notna()
            step = int(wrong.to_numpy().argmax())
            raise BadInput(
                "a channel must hold numbers",
                where=f"column {name!r}, step {step}",
                found=f"{column.iloc[step]!r:.80}",
                hint="Drop the column; if it holds times give modality_options time_column.",
            )
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def read_series(file: BinaryIO, name: str, time_column: str | None) -> Any:
    """One series from an open file. Raises ``BadInput`` naming it."""
    if name.lower().endswith(".npy"):
        return read_npy(file, name)
    return _placed(read_table(file, name), name, time_column)


def read_table(file: Any, name: str) -> Any:
    """A DataFrame from a path or an open file, by the ending of its name."""
    try:
        import pandas as pd
    except ImportError:
        raise missing_extra("pandas", "timeseries", f"{name}: a table") from None
    ending = name.lower().rsplit(".", 1)[-1]
    try:
        if ending == "parquet":
            return pd.read_parquet(file)
        return read_csv(file, "\t" if ending == "tsv" else ",")
    except BadInput as error:
        raise error.at(name) from None
    except ImportError:
        raise missing_extra("pyarrow", "timeseries", f"{name}: a Parquet file") from None
    except Exception as error:  # the parsers raise many types on damaged files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(f"cannot be read as a table: {reason}", where=name) from None


def _placed(frame: Any, name: str, time_column: str | None) -> Any:
    try:
        return series_of(frame, time_column)
    except BadInput as error:
        raise error.at(name) from None
