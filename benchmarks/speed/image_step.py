"""Image training steps against transformers' ViTMAE: steps per second and peak memory.

    python -m anymae.benchmarks.speed.image_step [--shape cifar] [--rounds 9] [--threads 1]
        [--json benchmarks/results/FILE.json]

Prints a table; ratios above 1 mean that anymae is faster. ``--memory NAME`` runs three steps of
one candidate and prints the process's peak resident MiB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from anymae.benchmarks.peers import vitmae
from anymae.benchmarks.speed import ours
from anymae.benchmarks.speed.machine import machine
from anymae.benchmarks.speed.measure import interleaved, median_ratio, own_peak_mib, peak_mib
from anymae.benchmarks.speed.shapes import IMAGE_SHAPES, ImageShape

Build = Callable[[ImageShape], Callable[[], None]]
CANDIDATES: dict[str, Build] = {
    "anymae fp32": lambda s: ours.training_step(s, "fp32"),
    "transformers fp32": lambda s: vitmae.training_step(s, "fp32", "sdpa"),
    "anymae bf16": lambda s: ours.training_step(s, "bf16"),
    "transformers bf16": lambda s: vitmae.training_step(s, "bf16", "sdpa"),
    "transformers bf16 eager": lambda s: vitmae.training_step(s, "bf16", "eager"),
    "anymae bf16, cross decoder": lambda s: ours.training_step(s, "bf16", "cross"),
}
REFERENCES = {
    "anymae fp32": ("transformers fp32",),
    "anymae bf16": ("transformers bf16", "transformers bf16 eager"),
    "anymae bf16, cross decoder": ("transformers bf16", "transformers bf16 eager"),
}


def compare(name: str, rounds: int, threads: int) -> dict[str, Any]:
    """Measure all candidates at a shape; returns what is printed and saved."""
    shape = IMAGE_SHAPES[name]
    seconds = interleaved({k: b(shape) for k, b in CANDIDATES.items()}, rounds, threads)
    rows = {
        candidate: {
            "images_per_second": shape.batch / statistics.median(times),
            "peak_mib": peak_mib(__spec__.name, "--shape", name, "--memory", candidate),
            "speed_ratio": {
                peer: median_ratio(times, seconds[peer]) for peer in REFERENCES.get(candidate, ())
            },
        }
        for candidate, times in seconds.items()
    }
    return {"shape": name, "rounds": rounds, "threads": threads, "machine": machine(), "rows": rows}


def show(result: dict[str, Any]) -> None:
    """Print a comparison as a table."""
    print(
        f"{result['shape']}: {result['rounds']} interleaved rounds, {result['threads']} thread(s)"
    )
    for name, row in result["rows"].items():
        ratios = ", ".join(f"{r:.2f}x {peer}" for peer, r in row["speed_ratio"].items())
        speed, memory = row["images_per_second"], row["peak_mib"]
        print(f"  {name:28s} {speed:8.1f} images/s  {memory:7.0f} MiB  {ratios}")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=IMAGE_SHAPES, default="cifar")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", choices=CANDIDATES)
    options = parser.parse_args()
    if options.memory:
        step = CANDIDATES[options.memory](IMAGE_SHAPES[options.shape])
        for _ in range(3):
            step()
        print(own_peak_mib())
        return
    result = compare(options.shape, options.rounds, options.threads)
    show(result)
    if options.json:
        command = f"python -m {__spec__.name} {' '.join(sys.argv[1:])}"
        options.json.write_text(json.dumps({"command": command, **result}, indent=1) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
