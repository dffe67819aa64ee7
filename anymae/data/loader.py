"""The loader: batches of consecutive steps, prepared ahead by worker processes.

Workers only ever compute ``batches[step]``, so their number is never part of a result.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import torch
from torch.utils.data import DataLoader

from anymae.data.batches import Batch, Batches

TIMEOUT = 600
"""Seconds a batch may take before the loader gives up on its worker."""


def load(batches: Batches, start: int, workers: int, pin: bool) -> Generator[Batch, None, None]:
    """The batches of steps ``start`` to the end of the plan, in order. Close the generator when
    done with it: workers that nobody told to stop would be waited for when the process ends."""
    steps = range(start, batches.plan.steps)
    if workers == 0:
        yield from (batches[step] for step in steps)
        return
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        worker_init_fn=_settle_worker,
        prefetch_factor=4,
        pin_memory=pin,
        timeout=TIMEOUT,
        generator=torch.Generator(),
    )
    yield from loader


def default_workers(samples: int) -> int:
    """Loader processes for this machine: none for tiny data, else one for every two cores (at
    most eight), since the model wants the others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 0 if samples < 2048 else max(1, min(8, (cores or 1) // 2))


def _settle_worker(worker: int) -> None:
    """Schedulers signal a whole process group: only the main process may react. One thread, since
    workers share the cores with the model."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
