"""Features as files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from anymae.errors import missing_extra
from anymae.storage import cannot_write


def write_features(path: Path, features: np.ndarray, where: list[str]) -> None:
    """``features`` (n, width) with the place each row came from, as ``.npz`` or ``.parquet``.

    The file appears complete or not at all. Raises ``CheckpointError`` if it cannot be written.
    """
    scratch = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        if path.suffix == ".npz":
            np.savez(scratch, features=features, where=np.array(where))
        else:
            _write_parquet(scratch, features, where)
        os.replace(scratch, path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        scratch.unlink(missing_ok=True)


def _write_parquet(path: Path, features: np.ndarray, where: list[str]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "tabular", "writing .parquet files") from None
    columns = {f"feature_{i}": features[:, i] for i in range(features.shape[1])}
    pyarrow.parquet.write_table(pyarrow.table({"where": where, **columns}), path)
