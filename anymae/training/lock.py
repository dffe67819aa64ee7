"""One owner for a run folder: an advisory lock the kernel releases however a process ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anymae.errors import BadConfig

try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    LOCKS = True
except ImportError:  # not a POSIX system
    LOCKS = False

_held: set[IO[str]] = set()


def _let_go() -> None:
    """A forked loader worker shares the open file, and would keep the lock of a killed parent."""
    while _held:
        _held.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def owned(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder's lock. Raises ``BadConfig`` if another process has it."""
    with open(folder / ".lock", "w") as file:
        if not LOCKS:
            warn("this system has no file locks: do not start the same run twice")
        else:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise BadConfig(
                    "another process is training in this folder",
                    where=folder,
                    hint="Wait for it, or choose another out.",
                ) from None
            except OSError:
                warn("this file system has no locks: do not start the same run twice")
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)
