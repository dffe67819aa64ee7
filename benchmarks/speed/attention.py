"""Plain against fused attention on this CPU, forward and backward of one layer.

``kernels/attention/dispatch.py`` rests on it; a ratio above 1 means that plain products are faster.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from anymae.benchmarks.budgets import Budget
from anymae.benchmarks.speed.measure import interleaved, median_ratio
from anymae.benchmarks.speed.record import kept
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


def run(budget: Budget, out: Path) -> dict[str, Any]:
    """Milliseconds and ratios of both bodies at every shape and number format; keeps
    ``attention.json`` in ``out``."""
    rows = {}
    for name, shape in SHAPES.items():
        for dtype in (torch.float32, torch.bfloat16):
            bodies = {"plain": dense.plain, "fused": dense.fused}
            steps = {k: layer(shape, dtype, body) for k, body in bodies.items()}
            seconds = interleaved(steps, budget.rounds, threads=1)
            found = {f"{k}_ms": 1e3 * statistics.median(v) for k, v in seconds.items()}
            found["plain_over_fused"] = median_ratio(seconds["plain"], seconds["fused"])
            rows[f"{name}, {str(dtype)[6:]}"] = found
            print(f"{name}, {dtype}: plain is {found['plain_over_fused']:.2f}x fused", flush=True)
    return kept({"rounds": budget.rounds, "rows": rows}, "attention", out)
