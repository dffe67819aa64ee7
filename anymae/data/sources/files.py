"""Files: one sample a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from anymae.adapter import Adapter, read_file
from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.names import Names, printable
from anymae.data.sources.places import placed
from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


class Files(Source):
    """Files by path, decoded by ``adapter.read`` when asked for; ``labels`` one name a file."""

    def __init__(
        self, paths: Sequence[str], adapter: Adapter, labels: Sequence[str] | None = None
    ) -> None:
        self.paths = Names(paths)
        self.adapter = adapter
        self._found = Labels() if labels is None else as_labels(labels, len(paths))

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, index: int) -> str:
        return printable(self.paths[index])

    def fingerprint(self) -> str:
        # Relative to what all share: a data set may lie elsewhere on another machine.
        paths = list(self.paths)
        shared = os.path.commonprefix(paths).rpartition("/")[0]  # noqa: RUF071 - cut at a slash
        return digest("files", len(paths), *(path[len(shared) :] for path in paths))

    def _load(self, index: int) -> Any:
        path = self.paths[index]
        with placed(lambda: self.where(index), path):
            return read_file(self.adapter, path)

    def _read_labels(self) -> Labels:
        return self._found


def readable(name: str, adapter: Adapter) -> bool:
    """Whether the adapter reads files of this name."""
    return bool(adapter.extensions) and name.lower().endswith(adapter.extensions)


def no_match(where: str, adapter: Adapter, found: str, hint: str | None = None) -> BadInput:
    """The error for a place without a file the adapter reads."""
    looked_for = " ".join(adapter.extensions)
    return BadInput(
        f"nothing here that the {adapter.name} adapter reads",
        where=printable(where),
        found=found,
        expected=f"files ending in {looked_for}" if looked_for else "arrays: it reads no files",
        hint=hint,
    )
