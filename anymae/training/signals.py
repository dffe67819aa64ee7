"""Stopping well: a signal sets a flag, training leaves at the end of the step."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class StopFlag:
    """While entered, the first SIGINT or SIGTERM sets ``asked``; a second leaves at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopFlag:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:
                break  # not in the main thread: the caller's handlers stay
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(130)
        self.asked = True


@contextmanager
def sigterm_ends() -> Iterator[None]:
    """Have SIGTERM end the process with status 130 where nothing else is in charge, e.g. before
    training. At once: an exception may get lost on its way, in a callback or an import."""

    def leave(number: int, frame: FrameType | None) -> None:
        os.write(2, b"anymae: interrupted\n")
        os._exit(130)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
