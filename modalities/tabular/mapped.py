"""Mapped tables: tables larger than memory, read by row from a copy on disk that is never loaded.

The copy is an Arrow file in the cache folder (``$XDG_CACHE_HOME``, else ``~/.cache``), made once,
complete or not at all, and made anew when a file's size or time of change differs.

Shapes: m rows of a batch.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.tabular.arrow import cells_of
from anymae.modalities.tabular.cells import Cells
from anymae.modalities.tabular.tables import Table


class MappedTable(Table):
    """The rows of an Arrow file, which every loader worker maps for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: Any = None
        file = self._file()
        self.names = tuple(file.schema.names)
        lengths = [file.get_batch(i).num_rows for i in range(file.num_record_batches)]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def gather(self, index: np.ndarray, names: Sequence[str]) -> dict[str, Cells]:
        import pyarrow as pa

        file = self._file()
        order = np.argsort(index, kind="stable")
        ordered = index[order]
        batches = np.searchsorted(self._starts, ordered, side="right") - 1
        parts = []
        for batch in np.unique(batches):
            within = ordered[batches == batch] - self._starts[batch]
            rows = file.get_batch(int(batch)).select(list(names))
            parts.append(rows.take(pa.array(within)))
        table = pa.Table.from_batches(parts, pa.schema([file.schema.field(n) for n in names]))
        back = np.argsort(order, kind="stable")
        return {name: cells_of(table.column(name), name).take(back) for name in names}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}

    def _file(self) -> Any:
        if self._mapped is None:
            import pyarrow as pa

            self._mapped = pa.ipc.open_file(pa.memory_map(str(self.path)))
        return self._mapped


def mapped_copy(
    paths: Sequence[str],
    missing: Sequence[str],
    schema: Any,
    batches: Callable[[], Iterable[Any]],
) -> Path:
    """The Arrow copy of files that hold ``batches`` of rows. Raises ``BadInput`` if it cannot be
    written, e.g. because the disk is full."""
    stats = [(os.path.abspath(path), os.stat(path)) for path in paths]
    marks = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    name = hashlib.sha256(repr((marks, tuple(missing))).encode()).hexdigest()[:32]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anymae" / "tables"
    place = folder / f"{name}.arrow"
    if place.exists():
        return place
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(place, schema, batches())
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise BadInput(
            "the copy of a large table cannot be written: "
            + ("the disk is full" if full else error.strerror or str(error)),
            where=folder,
            hint="Point XDG_CACHE_HOME to a disk with room, or raise modality_options "
            "memory_bytes to read it into memory.",
        ) from None
    return place


def _write_whole(place: Path, schema: Any, batches: Iterable[Any]) -> None:
    """Write under another name, then rename: nobody ever sees half a file."""
    import pyarrow as pa

    handle, partial = tempfile.mkstemp(dir=place.parent, suffix=".part")
    os.close(handle)
    try:
        with pa.OSFile(partial, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        os.replace(partial, place)
    except BaseException:
        os.unlink(partial)
        raise
