"""Single Parquet files: opening one, and what its schema says. pyarrow is imported here only."""

from __future__ import annotations

import json
from typing import Any

from anymae.data.sources.places import placed
from anymae.errors import missing_extra


def open_file(path: str) -> Any:
    """A ``pyarrow.parquet.ParquetFile``. Raises ``BadInput`` and ``MissingExtra``."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise missing_extra("pyarrow", "tabular", "reading Parquet files") from None
    with placed(path):
        return parquet.ParquetFile(path)


def is_plain_type(kind: Any) -> bool:
    """Whether a column of this Arrow type holds single numbers, texts or dates."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return not (types.is_nested(kind) or "binary" in str(kind))


def is_index(name: str) -> bool:
    """Whether a column is the row index that pandas adds."""
    return name.startswith("__index_level_")


def class_names(schema: Any, label: str | None) -> list[str] | None:
    """The names of classes that Hugging Face keeps in the metadata of a file."""
    try:
        notes = json.loads((schema.metadata or {})[b"huggingface"])
        names = notes["info"]["features"][label]["names"]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
