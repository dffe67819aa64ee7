"""Contests: the same training step by anymae and by others, measured in turns in one process.

A contest is a declaration: a module of this folder lists its own in ``CONTESTS``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from anymae.benchmarks.operations import operations
from anymae.benchmarks.speed.energy import joules
from anymae.benchmarks.speed.measure import interleaved, median_ratio

Step = Callable[[], None]
Build = Callable[[torch.device], Step]
PEAK_SIDE = 2048
"""Rows and columns of the matrices whose product is taken for a machine's peak."""
NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Entrant:
    """One candidate: ``build(device)`` makes its step, in which products are of ``precision``.
    ``against`` are the entrants it is compared with; ``peer`` is the package it comes from (None:
    anymae)."""

    build: Build
    precision: str
    against: tuple[str, ...] = ()
    peer: str | None = None


@dataclass(frozen=True)
class Contest:
    """The same work by several ``entrants``: one step takes ``items`` of ``unit``. ``device`` is
    what it is sized for."""

    name: str
    about: str
    unit: str
    items: int
    entrants: Mapping[str, Entrant]
    device: str = "cpu"

    def against(self, peer: str) -> Contest:
        """This contest with one package's entrants as only peers."""
        kept = {n: e for n, e in self.entrants.items() if e.peer in (None, peer)}
        return replace(self, entrants=kept)


def measure(
    contest: Contest,
    rounds: int,
    threads: int,
    device: torch.device,
    memory: Callable[[str], float],
) -> dict[str, Any]:
    """All entrants in turns; returns what is printed and saved. ``memory`` gives the peak MiB of a
    fresh process that runs the entrant of a name."""
    steps = {name: entrant.build(device) for name, entrant in contest.entrants.items()}
    precisions = sorted({entrant.precision for entrant in contest.entrants.values()})
    peaks = {precision: _product(NUMBERS[precision], device) for precision in precisions}
    seconds = interleaved({**steps, **peaks}, rounds, threads, device)
    peak = {name: operations(step) / min(seconds[name]) for name, step in peaks.items()}
    rows = {}
    for name, entrant in contest.entrants.items():
        typical, work = statistics.median(seconds[name]), operations(steps[name])
        used = joules(steps[name])
        rows[name] = {
            "per_second": contest.items / typical,
            "gflop": work / contest.items / 1e9,
            "share_of_peak": work / typical / peak[entrant.precision],
            "peak_mib": memory(name),
            "joules": None if used is None else used / contest.items,
            "speed_ratio": {
                other: median_ratio(seconds[name], seconds[other])
                for other in entrant.against
                if other in seconds
            },
        }
    return {
        "contest": contest.name,
        "about": contest.about,
        "unit": contest.unit,
        "items": contest.items,
        "rounds": rounds,
        "threads": threads,
        "device": str(device),
        "peak_gflops": {name: found / 1e9 for name, found in peak.items()},
        "rows": rows,
    }


def show(result: dict[str, Any]) -> None:
    """Print a result as a table."""
    print(
        f"{result['contest']}: {result['about']}; {result['rounds']} rounds in turns, "
        f"{result['threads']} thread(s), {result['device']}"
    )
    for name, row in result["rows"].items():
        ratios = ", ".join(f"{ratio:.2f}x {other}" for other, ratio in row["speed_ratio"].items())
        print(
            f"  {name:28s} {row['per_second']:9.1f} {result['unit']}/s "
            f"{row['share_of_peak']:5.0%} of peak {row['peak_mib']:6.0f} MiB  {ratios}"
        )


def _product(dtype: torch.dtype, device: torch.device) -> Step:
    a, b = torch.randn(2, PEAK_SIDE, PEAK_SIDE).to(device, dtype)

    def multiply() -> None:
        torch.mm(a, b)

    return multiply
