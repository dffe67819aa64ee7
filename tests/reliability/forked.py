"""A function in a process of its own: a crash, a hang or a flood of memory cannot hide in it."""

import multiprocessing
import os
import resource
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

MB = 2**20


class Outcome(NamedTuple):
    """What a function returned, and how many bytes beyond those of its parent it held at most."""

    value: Any
    extra: int


def forked(function: Callable[[], Any], seconds: float = 60) -> Outcome:
    """Call a function in a forked process and return what it returns, which can be pickled.
    Raises ``AssertionError`` if the process dies or takes longer."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_run, args=(function, sender))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that no child touches
        child.start()
    sender.close()
    try:
        assert receiver.poll(seconds), f"still running after {seconds} s"
        return receiver.recv()
    except EOFError:
        child.join()
        raise AssertionError(f"the process died with status {child.exitcode}") from None
    finally:
        child.kill()
        child.join()


def _run(function: Callable[[], Any], sender: Connection) -> None:
    before = _held()
    value = function()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sender.send(Outcome(value, most - before))


def _held() -> int:
    """Bytes of memory that this process holds now."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
