"""One owner for a run folder: an advisory lock the kernel releases however a process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anymae.errors import BadConfig

try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    LOCKS = True
except ImportError:  # not a POSIX system
    LOCKS = False


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
        yield
