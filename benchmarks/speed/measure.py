"""Measuring on noisy machines: rounds interleave all candidates, medians are compared.

With one thread the clock is processor time, which other programs' work does not lengthen; with
more it is wall time.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch

from anymae.memory import peak_memory

CPU = torch.device("cpu")


def interleaved(
    steps: Mapping[str, Callable[[], None]],
    rounds: int,
    threads: int,
    device: torch.device = CPU,
) -> dict[str, list[float]]:
    """Seconds of each candidate's step in each round, after one warm-up step each."""
    torch.set_num_threads(threads)
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu and threads == 1 else time.perf_counter
    finish = _nothing if on_cpu else partial(torch.accelerator.synchronize, device)
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            finish()
            start = clock()
            step()
            finish()
            seconds[name].append(clock() - start)
    return seconds


def _nothing() -> None:
    """A processor is finished when a call returns."""


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times faster ours is: the median over rounds of theirs / ours."""
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))


def peak_mib(module: str, *arguments: str) -> float:
    """Peak resident memory of a fresh Python process that runs a module, in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout.strip().splitlines()[-1])


def own_peak_mib(device: torch.device = CPU) -> float:
    """Peak memory of this process so far, in MiB."""
    return peak_memory(device) / 2**20
