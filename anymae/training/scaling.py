"""Loss scaling for float16, whose smallest numbers are larger than many gradients (Micikevicius et
al., Mixed Precision Training, ICLR 2018). A function of numbers that every process has."""

from __future__ import annotations

import math

from anymae.precision import Precision
from anymae.training.setup import Progress

FIRST = 2.0**16
PATIENCE = 2000
"""Good steps after which twice the scale is tried."""


def first_scale(precision: Precision) -> float:
    """What the loss is multiplied by when training begins."""
    return FIRST if precision == "fp16" else 1.0


def overflowed(progress: Progress, loss: float, norm: float) -> bool:
    """Whether a step's gradients are not finite only because of the scale: then it is halved, and
    the step, which is passed over, is no bad one."""
    if progress.scale <= 1 or not math.isfinite(loss) or math.isfinite(norm):
        return False
    progress.scale /= 2
    progress.since_overflow = 0
    return True


def try_more(progress: Progress) -> None:
    """After a good step: double the scale if it has held for long."""
    progress.since_overflow += 1
    if progress.scale > 1 and progress.since_overflow == PATIENCE:
        progress.scale *= 2
        progress.since_overflow = 0
