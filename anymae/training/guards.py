"""Guards: which steps are bad, as a function of numbers that every process has and of progress.

A bad step changes no weight, no moment and no place in the schedule. Several in a row bring back
the newest checkpoint's weights; what comes back too often has diverged.
"""

from __future__ import annotations

import math
from statistics import median

from anymae.config import TrainingConfig
from anymae.errors import Diverged
from anymae.training.setup import Progress

HOPELESS = 1000.0
"""A loss this many times the trivial one, and the first, is that of a broken model."""
REMEMBERED = 100
"""Good steps whose gradient norms give the running median."""
ENOUGH = 16
"""Good steps before a median means anything."""


def fault(
    progress: Progress, config: TrainingConfig, trivial: float, loss: float, norm: float
) -> str | None:
    """What is wrong with a step of this loss and gradient norm; None if it is good."""
    if not math.isfinite(loss):
        return f"loss {loss}"
    if not math.isfinite(norm):
        return f"gradient norm {norm}"
    usual = max(trivial, loss if progress.first_loss is None else progress.first_loss)
    if loss > HOPELESS * usual:
        return f"loss {loss:.4g}, {loss / usual:.3g} times that of no model at all"
    if len(progress.norms) >= ENOUGH:
        middle = median(progress.norms)
        if 0 < middle * config.spike < norm:
            return f"gradient norm {norm:.4g}, {norm / middle:.3g} times its running median"
    return None


def remember(progress: Progress, loss: float, norm: float) -> None:
    """Take a good step into what later ones are compared with."""
    progress.bad_in_a_row = 0
    if progress.first_loss is None:
        progress.first_loss = loss
    progress.norms = [*progress.norms, norm][-REMEMBERED:]


def diverged(progress: Progress, config: TrainingConfig, what: str) -> Diverged:
    """The end of a run that cannot be brought back."""
    back = f", after going back {progress.rollbacks} times" if progress.rollbacks else ""
    return Diverged(
        f"training diverged: {progress.bad_in_a_row} bad steps in a row{back}",
        where=f"step {progress.step + 1}",
        found=what,
        hint=f"Try a lower lr (it was {config.lr or config.base_lr:.3g}), training.clip=1 or "
        "precision=fp32; `anymae replay` shows what a bad step was made of.",
    )
