"""How much a benchmark may take: from a check that it runs to what papers spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """``rounds`` of a contest of speed; training steps of a benchmark of quality, as a multiple of
    its own; where to compute."""

    rounds: int
    steps: float
    device: str


BUDGETS = {
    "smoke": Budget(rounds=1, steps=0.01, device="cpu"),
    "laptop": Budget(rounds=7, steps=1, device="cpu"),
    "gpu": Budget(rounds=20, steps=10, device="cuda"),
    "paper": Budget(rounds=20, steps=100, device="cuda"),
}
"""``laptop`` is what ``benchmarks/results`` holds; the last two have not been run yet."""
