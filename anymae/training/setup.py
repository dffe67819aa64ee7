"""What a run is made of, and what changes while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anymae.data.sources import Source
from anymae.model import Model
from anymae.precision import Precision
from anymae.tokens import Packed
from anymae.training.baselines import Trivial
from anymae.training.defaults import Resolved
from anymae.training.distributed import World


@dataclass(frozen=True)
class Setup:
    """Everything a run needs. ``spare`` is a small good batch for a
    process that has no sample in a step; ``held_out`` are validation batches with keys."""

    model: Model
    training: Resolved
    seed: int
    precision: Precision
    world: World
    source: Source
    spare: Packed
    trivial: Trivial
    held_out: list[Packed]
    trivial_held_out: Trivial | None
    folder: Path


@dataclass
class Progress:
    """What changes while training, beside tensors: all of it goes into a checkpoint."""

    step: int = 0
    updates: int = 0
    bad_in_a_row: int = 0
    window_loss: float = 0.0
    window_count: float = 0.0
    seconds: float = 0.0
    bad: list[list[str]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
