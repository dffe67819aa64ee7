"""Many processes: what torchrun's environment says, and the few exchanges training needs.

A world of one process is the same code with exchanges that do nothing.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from anymae import errors
from anymae.errors import AnyMAEError, BadConfig

LOOKS_UP = 1.0
"""Seconds between looks whether the launcher is still there."""


@dataclass(frozen=True)
class World:
    """This process among all: ``rank`` of ``size``, computing on ``device``."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """Each number summed over all processes, in float64."""
        return self._reduced(numbers, dist.ReduceOp.SUM)

    def max(self, *numbers: float) -> list[float]:
        """The largest of each number over all processes."""
        return self._reduced(numbers, dist.ReduceOp.MAX)

    def _reduced(self, numbers: tuple[float, ...], how: Any) -> list[float]:
        if self.size == 1:
            return [float(n) for n in numbers]
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, how)
        return tensor.tolist()

    def total(self, tensor: Tensor) -> Tensor:
        """A tensor summed over all processes, the same bits for each."""
        if self.size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def texts(self, text: str) -> list[str]:
        """Every process's text, in the order of ranks."""
        if self.size == 1:
            return [text]
        mine = text.encode()
        longest = int(self.max(len(mine))[0])
        filled = torch.tensor([*mine.ljust(longest + 1, b"\0")], dtype=torch.uint8)
        every = [torch.empty_like(filled, device=self.device) for _ in range(self.size)]
        dist.all_gather(every, filled.to(self.device))
        return [bytes(one.tolist()).rstrip(b"\0").decode() for one in every]

    def agree(self, error: AnyMAEError | None) -> None:
        """Every process comes here. One that brings an error raises it; if any did, the others
        raise the first rank's."""
        texts = self.texts("" if error is None else _as_text(error))
        if error is not None:
            raise error
        for text in texts:
            if text:
                raise _from_text(text)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What one process raises in here, all raise at its end; none goes on before all are."""
        error = None
        try:
            yield
        except AnyMAEError as found:
            error = found
        self.agree(error)


def join(device: str) -> World:
    """This process's world: torchrun's if it started us, else a world of one.

    ``device`` is ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``. Raises ``BadConfig``.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _leave_with(os.getppid())
    size = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    place = pick_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    if size > 1 and not dist.is_initialized():
        _connect("nccl" if place.type == "cuda" else "gloo")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    return World(rank, size, place)


def _connect(backend: str) -> None:
    """Meet the other processes. When torchrun starts them again, its store still has the addresses
    of those that are gone, so each attempt has names of its own. Several machines do not count
    attempts alike: there it is left to torchrun."""
    store, rank, size = next(rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        store = PrefixStore(f"attempt-{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    atexit.register(_disconnect)


def _disconnect() -> None:
    """Take the group down while Python is whole: its threads must not see the end of it. Models
    that exchange gradients hold the group too, and hold themselves in circles."""
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()
    gc.collect()


def pick_device(device: str, local_rank: int = 0) -> torch.device:
    """A torch device from a name. Raises ``BadConfig`` if it is unknown or absent."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
    except RuntimeError:
        raise BadConfig(
            "unknown device", found=repr(device), expected="auto, cpu, cuda ..."
        ) from None
    if place.type == "cuda":
        if not torch.cuda.is_available():
            raise BadConfig("no CUDA device here", found=repr(device), hint="Use device='cpu'.")
        if ":" not in device:
            place = torch.device("cuda", local_rank)
    return place


def _leave_with(launcher: int) -> None:
    """End this process when its launcher is gone: nobody else would end it, and it would go on
    writing beside the next start. A thread, because training may be waiting for other processes."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOKS_UP):
            if os.getppid() != launcher:
                os.write(2, b"anymae: the launcher is gone, and this process with it\n")
                os._exit(1)

    def end() -> None:
        """A thread that wakes while Python ends may end the process by SIGABRT."""
        over.set()
        thread.join()

    if not any(thread.name == _WATCH for thread in threading.enumerate()):
        thread = threading.Thread(target=watch, name=_WATCH, daemon=True)
        thread.start()
        atexit.register(end)


_WATCH = "anymae-launcher-watch"
_PARTS = ("what", "where", "found", "expected", "hint")


def _as_text(error: AnyMAEError) -> str:
    parts = {part: getattr(error, part) for part in _PARTS}
    return json.dumps({"kind": type(error).__name__, **parts})


def _from_text(text: str) -> AnyMAEError:
    parts = json.loads(text)
    kind = getattr(errors, parts.pop("kind"), AnyMAEError)
    return kind(parts.pop("what"), **parts)
