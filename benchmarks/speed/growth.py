"""How time and memory of a training step grow with tokens, width, batch and processes.

    python -m anymae.benchmarks.speed.growth AXIS SIZE [--rounds 5]

measures one size and prints it as JSON. Processor time of one thread a process, summed over
processes; the slope of an axis is that of a straight line through its points on logarithmic axes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from anymae.benchmarks.budgets import Budget
from anymae.benchmarks.speed.images import adapter_of
from anymae.benchmarks.speed.measure import own_peak_mib
from anymae.benchmarks.speed.record import kept
from anymae.config import TrainingConfig
from anymae.encoder import EncoderConfig
from anymae.model import Model
from anymae.registry import recipe
from anymae.training.optim import adamw

AXES: dict[str, tuple[int, ...]] = {
    "tokens": (64, 256, 1024, 4096),
    "width": (48, 96, 192, 384),
    "batch": (8, 16, 32, 64),
    "processes": (1, 2, 4),
}
"""The sizes tried on each axis; the others stay at ``MIDDLE``."""
MIDDLE = {"tokens": 256, "width": 96, "batch": 16, "processes": 1}
PATCH, DEPTH, WARM_UP = 4, 4, 2


def step_seconds(
    tokens: int, width: int, batch: int, wrap: Callable[[Model], torch.nn.Module], rounds: int
) -> float:
    """Processor seconds of this process in the median of ``rounds`` steps of MAE in float32."""
    side = PATCH * math.isqrt(tokens)
    pixels = np.random.default_rng(0).standard_normal((batch, side, side, 3), dtype=np.float32)
    adapter, method = adapter_of(side, PATCH), recipe("mae")
    model = Model(adapter, method, EncoderConfig(width=width, depth=DEPTH, heads=width // 16))
    wrapped, optimiser = wrap(model.train()), adamw(model, TrainingConfig())
    seconds = []
    for _ in range(WARM_UP + rounds):
        start = time.process_time()
        packed = adapter.batch_tokenize(list(pixels)).with_keys(torch.arange(batch))
        output = wrapped(packed, method.mask.draw(packed))
        (output.loss / output.count).backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[WARM_UP:])


def point(axis: str, size: int, rounds: int) -> dict[str, float]:
    """Seconds and peak MiB at one size of an axis."""
    torch.set_num_threads(1)
    shape = {**MIDDLE, axis: size}
    processes = shape.pop("processes")
    if processes == 1:
        return {"seconds": step_seconds(**shape, wrap=lambda m: m, rounds=rounds),
                "peak_mib": own_peak_mib()}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        spawn(_process, (processes, shape, rounds, folder), processes)
        found = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    return {name: sum(one[name] for one in found) for name in ("seconds", "peak_mib")}


def _process(rank: int, size: int, shape: dict[str, int], rounds: int, folder: str) -> None:
    """One of ``size`` processes, with its share of the batch."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=size)
    own = {**shape, "batch": shape["batch"] // size}
    seconds = step_seconds(**own, wrap=DistributedDataParallel, rounds=rounds)
    found = {"seconds": seconds, "peak_mib": own_peak_mib()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The exponent b of y = a x^b that fits best on logarithmic axes."""
    x, y = (np.log([one[i] for one in points]) for i in (0, 1))
    return float(np.polyfit(x, y, 1)[0])


def run(budget: Budget, out: Path) -> dict[str, Any]:
    """Measure every axis, each point in a process of its own; keep ``growth.json`` in ``out``."""
    axes = {}
    for axis, sizes in AXES.items():
        found = [(size, _apart(axis, size, budget.rounds)) for size in sizes]
        axes[axis] = {
            "sizes": list(sizes),
            "seconds": [one["seconds"] for _, one in found],
            "peak_mib": [one["peak_mib"] for _, one in found],
            "slope": slope([(size, one["seconds"]) for size, one in found]),
        }
        print(axis, json.dumps(axes[axis]), flush=True)
    return kept({"middle": MIDDLE, "axes": axes, "rounds": budget.rounds}, "growth", out)


def _apart(axis: str, size: int, rounds: int) -> dict[str, float]:
    words = [sys.executable, "-m", "anymae.benchmarks.speed.growth", axis, str(size)]
    done = subprocess.run(
        [*words, "--rounds", str(rounds)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("axis", choices=AXES)
    parser.add_argument("size", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(point(options.axis, options.size, options.rounds)))


if __name__ == "__main__":
    main()
