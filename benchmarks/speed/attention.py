"""Plain against fused attention on this CPU: what kernels/attention/dispatch.py rests on.

    python -m anymae.benchmarks.speed.attention [--rounds 9] [--threads 1] [--json FILE]

Forward and backward of one layer; a ratio above 1 means that plain products are faster.
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

from anymae.benchmarks.speed.machine import machine
from anymae.benchmarks.speed.measure import interleaved, median_ratio
from anymae.kernels.attention import dense

SHAPES = {
    "CIFAR encoder": (256, 17, 3, 64),
    "CIFAR decoder": (256, 65, 3, 32),
    "Base encoder": (8, 50, 12, 64),
    "Base decoder": (8, 197, 16, 32),
    "series": (448, 42, 16, 8),
    "long": (2, 1568, 3, 64),
}
"""Samples, tokens, heads, numbers a head."""


def layer(
    shape: tuple[int, ...], dtype: torch.dtype, body: Callable[..., Any]
) -> Callable[[], None]:
    """One forward and backward pass of an attention body on random tensors."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(shape, generator=draw).to(dtype).requires_grad_() for _ in range(3))

    def run() -> None:
        body(q, k, v).sum().backward()

    return run


def compare(rounds: int, threads: int) -> dict[str, Any]:
    """Milliseconds and ratios of both bodies at every shape and number format."""
    rows = {}
    for name, shape in SHAPES.items():
        for dtype in (torch.float32, torch.bfloat16):
            bodies = {"plain": dense.plain, "fused": dense.fused}
            steps = {k: layer(shape, dtype, body) for k, body in bodies.items()}
            seconds = interleaved(steps, rounds, threads)
            rows[f"{name}, {str(dtype)[6:]}"] = {
                **{f"{k}_ms": 1e3 * statistics.median(v) for k, v in seconds.items()},
                "plain_over_fused": median_ratio(seconds["plain"], seconds["fused"]),
            }
    return {"rounds": rounds, "threads": threads, "machine": machine(), "rows": rows}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = compare(options.rounds, options.threads)
    for name, row in result["rows"].items():
        print(
            f"{name:26s} plain {row['plain_ms']:7.1f} ms  fused {row['fused_ms']:7.1f} ms  "
            f"plain is {row['plain_over_fused']:.2f}x"
        )
    if options.json:
        command = f"python -m anymae.benchmarks.speed.attention {' '.join(sys.argv[1:])}"
        options.json.write_text(json.dumps({"command": command, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
