"""Natives: what people call a table, as one."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from anymae.modalities.tabular.arrow import as_arrow, memory_table
from anymae.modalities.tabular.cells import Cells, Words
from anymae.modalities.tabular.files import ENDINGS, open_files
from anymae.modalities.tabular.tables import Table, of_columns, of_matrix


def as_table(dataset: Any, missing: tuple[str, ...], memory_bytes: int) -> Table | None:
    """A DataFrame of pandas or polars, a table of pyarrow or anything that speaks Arrow, a mapping
    of names to vectors, a matrix, a structured array, or csv and Parquet files: a path, a pattern,
    a folder of such files only, or a list of paths. None for anything else."""
    if isinstance(dataset, torch.Tensor) and dataset.ndim == 2:
        dataset = dataset.numpy(force=True)
    if isinstance(dataset, np.ndarray):
        is_table = dataset.ndim == 2 or (dataset.ndim == 1 and dataset.dtype.names is not None)
        return of_matrix(dataset) if is_table else None
    if isinstance(dataset, Mapping):
        vectors = all(np.ndim(v) == 1 for v in dataset.values())
        return of_columns(dataset) if dataset and vectors else None
    files = _files(dataset)
    if files:
        return open_files(files, missing, memory_bytes)
    table = as_arrow(dataset)
    return None if table is None else memory_table(table)


def _files(dataset: Any) -> list[str]:
    """The files a path, a pattern, a folder or a list of paths stands for, if all are tables."""
    if isinstance(dataset, str | os.PathLike):
        path = os.path.expanduser(os.fspath(dataset))
        if os.path.isdir(path):
            path = os.path.join(glob.escape(path), "*")
        found = [path] if os.path.isfile(path) else sorted(glob.glob(path))
    elif isinstance(dataset, list | tuple):
        if not all(isinstance(item, str | os.PathLike) for item in dataset):
            return []
        found = [os.path.expanduser(os.fspath(item)) for item in dataset]
    else:
        return []
    tables = all(path.lower().endswith(ENDINGS) and os.path.isfile(path) for path in found)
    return found if tables else []


def labels_of(cells: Cells) -> np.ndarray:
    """(n,) labels: whole numbers, numbers with NaN where missing, or names. Names of which some are
    missing are numbered, so that evaluations can say which."""
    if isinstance(cells, Words):
        missing = cells.codes < 0
        if cells.stored == "text" and not missing.any():
            return np.array(list(cells.names), dtype=str)[cells.codes]
        numbers = cells.codes.astype(np.float64)
        if cells.stored == "int":
            numbers = np.array([*map(float, cells.names), np.nan])[cells.codes]
        return np.where(missing, np.nan, numbers) if missing.any() else numbers.astype(np.int64)
    whole = cells.stored == "int" and not np.isnan(cells.values).any()
    return cells.values.astype(np.int64) if whole else cells.values
