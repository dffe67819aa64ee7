"""What only time series are: tables, files of tables, and one long array as its windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anymae.errors import BadInput, missing_extra
from anymae.modalities.timeseries.frames import is_frame, read_table
from anymae.modalities.timeseries.series import Series, Steps, as_steps, on_grid
from anymae.modalities.timeseries.windows import Windows, default_window
from anymae.npy import read_header

TABLES = (".csv", ".tsv", ".parquet")


def opened(
    dataset: Any,
    asked: int | None,
    window: int | None,
    stride: int,
    irregular: bool | None,
    time_column: str | None,
) -> Sequence[Any] | None:
    """One long series as its windows, or as a single sample where it is short; None for other data
    sets. ``asked`` is the window that the user asked for, without which arrays are no long series;
    ``window`` is the one that is used, None: ``default_window``."""
    if isinstance(dataset, (str, os.PathLike)):
        return _file(Path(dataset).expanduser(), asked, window, stride, irregular, time_column)
    if isinstance(dataset, (np.ndarray, torch.Tensor)):
        numbers = isinstance(dataset, torch.Tensor) or dataset.dtype.kind in "uifb"
        if asked is None or dataset.ndim > 2 or not numbers:
            return None
    elif not is_frame(dataset) and not isinstance(dataset, Series):
        return None
    return _windows(as_steps(dataset, time_column), window, stride, irregular)


def _file(
    path: Path,
    asked: int | None,
    window: int | None,
    stride: int,
    irregular: bool | None,
    time_column: str | None,
) -> Sequence[Any] | None:
    ending = path.suffix.lower()
    if not path.is_file() or ending not in (*TABLES, ".npy"):
        return None
    if ending == ".npy" and asked is None:
        return None
    if ending == ".parquet" and not _is_table(path):
        return None
    try:
        table = _mapped(path) if ending == ".npy" else read_table(path, str(path))
        steps = as_steps(table, time_column)
        return _windows(steps, window, stride, irregular, str(path))
    except BadInput as error:
        raise (error if str(path) in str(error) else error.at(path)) from None


def _mapped(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        read_header(file, path.stat().st_size)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _windows(
    steps: Steps,
    window: int | None,
    stride: int,
    irregular: bool | None,
    name: str | None = None,
) -> Sequence[Any]:
    if not irregular:
        steps = on_grid(steps) or steps
    window = window or default_window(len(steps))
    return [steps.sample()] if window is None else Windows([steps], window, stride, name)


def _is_table(path: Path) -> bool:
    """Whether every column of a Parquet file holds single values: rows of lists are samples."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra("pyarrow", "timeseries", f"{path}: a Parquet file") from None
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False  # the core's reader says what is wrong with it
    return all(
        pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        for kind in schema.types
    )
