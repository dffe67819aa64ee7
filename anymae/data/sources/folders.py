"""Folders: the files below one, and what their sub-folders mean."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from anymae.errors import BadInput

SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


class Scan(NamedTuple):
    """Paths below a folder, relative to it, with ``/``: ``files`` sorted, ``links`` to folders."""

    files: list[str]
    links: list[str]


def scan(folder: str) -> Scan:
    """All files below a folder, without hidden ones and without following links to folders.

    Links to files count as files, also broken ones: reading them says so. Raises ``BadInput``
    naming the folder that cannot be listed.
    """
    files: list[str] = []
    links: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        path = os.path.join(folder, below) if below else folder
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        _sort_in(entry, below + entry.name, files, links, waiting)
        except OSError as error:
            raise BadInput(
                f"the folder cannot be read: {error.strerror or error}", where=path.rstrip("/")
            ) from None
    return Scan(sorted(files), sorted(links))


def _sort_in(
    entry: os.DirEntry[str], name: str, files: list[str], links: list[str], waiting: list[str]
) -> None:
    if entry.is_dir(follow_symlinks=False):
        waiting.append(name + "/")
    elif entry.is_symlink():
        # Not entry.is_dir(): that raises for a link to itself.
        (links if os.path.isdir(entry.path) else files).append(name)
    elif entry.is_file():
        files.append(name)


def sub_folders(files: Iterable[str], folder: str) -> list[str] | None:
    """The label of each file: its first sub-folder. None if any file lies beside them.

    Only the first level counts: in ``train/cat/1.png`` it is ``train``. If those names look like
    splits, one line on stderr says that a split should be passed instead.
    """
    files = list(files)
    if not all("/" in name for name in files):
        return None
    labels = [name.partition("/")[0] for name in files]
    splits = sorted({label for label in set(labels) if label.lower() in SPLITS})
    if splits:
        print(
            f"note: {folder} is read as a whole, with {', '.join(splits)} as labels; "
            f"for one split and its classes pass {os.path.join(folder, splits[0])}",
            file=sys.stderr,
        )
    return labels


def endings(names: Iterable[str]) -> str:
    """The endings of names with their numbers, the most frequent first, for messages."""
    counts = Counter(os.path.splitext(name)[1].lower() or "(none)" for name in names)
    if not counts:
        return "no files"
    shown = ", ".join(f"{ending} ({n})" for ending, n in counts.most_common(5))
    return f"{sum(counts.values())} files: {shown}" + (", ..." if len(counts) > 5 else "")
