"""What a run is made of, and what changes while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from anymae.data.sources import Source
from anymae.model import Model
from anymae.precision import Precision
from anymae.tokens import Packed
from anymae.training.baselines import Trivial
from anymae.training.defaults import Resolved
from anymae.training.distributed import World
from anymae.training.sharding import Strategy


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
    strategy: Strategy


class Progress(BaseModel):
    """What changes while training, beside tensors: all of it goes into a checkpoint."""

    model_config = ConfigDict(extra="forbid")

    step: int = 0
    """Steps that are over, bad ones included."""
    looked: int = 0
    """The last step that was logged, validated and checkpointed as far as it was due."""
    updates: int = 0
    """Steps that moved the weights: the schedule's place."""
    checkpoint: int = 0
    """The newest step at which a checkpoint was due: where a rollback goes."""
    rate: float = 0.0
    """The learning rate of the last good step."""
    norm: float | None = None
    """The last step's gradient norm, if it was a number."""
    first_loss: float | None = None
    norms: list[float] = []
    """Gradient norms of the last good steps."""
    scale: float = 1.0
    """What the loss is multiplied by, so that float16 holds its gradients."""
    since_overflow: int = 0
    """Good steps since the scale last changed."""
    bad_in_a_row: int = 0
    bad_steps: int = 0
    rollbacks: int = 0
    window_loss: float = 0.0
    window_count: float = 0.0
    seconds: float = 0.0
    bad: list[list[str]] = []
    """Bad samples of all processes: place and reason."""
    history: list[dict[str, Any]] = []

    def back_to(self, older: Progress) -> None:
        """Have an older checkpoint's weights from here on; the place in the data stays."""
        self.updates, self.norms = older.updates, older.norms
        self.bad_in_a_row = 0
        self.rollbacks += 1
        self.window_loss = self.window_count = 0.0
