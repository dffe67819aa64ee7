"""Promises about the whole story: it learns, and shows what it learned."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from anymae.checks.case import ENCODER, BrokenPromise, Case
from anymae.inference import reconstruct
from anymae.training.pretrain import pretrain

STEPS = (100, 400)
"""Lengths of a run: most need the first, hard ones the second."""
LAST = 3
"""Logged rows over which the end of a run is judged."""


def check_draws_pictures(case: Case) -> None:
    """``draw`` draws what ``untokenize`` returns: originals, samples with hidden parts, and
    rebuilt ones."""
    case.ask_for("untokenize")
    case.ask_for("draw")
    from matplotlib.figure import Figure

    shown = reconstruct(case.model(), list(case.examples[:2]))
    for what in ("original", "masked", "reconstruction"):
        for sample in getattr(shown, what):
            axes = Figure().add_subplot()
            empty = len(axes.get_children())
            try:
                case.fitted.draw(axes, sample)
            except Exception as error:
                raise BrokenPromise(
                    f"draw fails on a sample of kind {what!r}",
                    found=f"{type(error).__name__}: {error}",
                    hint="Hidden values are NaN in a masked sample.",
                ) from error
            if len(axes.figure.axes) == 1 and len(axes.get_children()) == empty:
                raise BrokenPromise(f"draw draws nothing of a sample of kind {what!r}")


def check_learns(case: Case) -> None:
    """Pretrained for a moment on its own examples (and if that is too short, for a while), the
    model predicts hidden content better than the mean of the place and the mean of what is visible.
    """
    for steps in STEPS:
        explained = _explained(case, steps)
        if explained > 0:
            return
    raise BrokenPromise(
        "pretraining on its own examples beats no trivial predictor",
        found=f"{explained:.1%} explained after {STEPS[-1]} steps",
        hint="Let examples have a structure to learn; see that the embedding shows the values, "
        "and that content_loss scores them.",
    )


def _explained(case: Case, steps: int) -> float:
    """The share of the trivial loss that is gone at the end of a run."""
    encoder = case.settings("mae")["encoder"]
    overrides: dict[str, Any] = {f"encoder.{key}": value for key, value in encoder.items()}
    with TemporaryDirectory() as place, redirect_stderr(io.StringIO()):
        run = pretrain(
            list(case.examples),
            case.adapter,
            size=ENCODER,
            steps=steps,
            batch_size=8,
            lr=3e-3,
            precision="fp32",
            device="cpu",
            out=Path(place) / "run",
            **{"training.checkpoint_every": steps, "training.workers": 0, **overrides},
        )
    return fmean(row["explained_variance"] for row in run.history[-LAST:])
