"""Many processes: what torchrun's environment says, and the few exchanges training needs.

A world of one process is the same code with exchanges that do nothing.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from anymae.errors import BadConfig


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

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model)

    def gathering(self, wrapped: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Exchange gradients after the last of several accumulated passes only."""
        if last or not isinstance(wrapped, DistributedDataParallel):
            return nullcontext()
        return wrapped.no_sync()


def join(device: str) -> World:
    """This process's world: torchrun's if it started us, else a world of one.

    ``device`` is ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``. Raises ``BadConfig``.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    place = pick_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    return World(rank, size, place)


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
