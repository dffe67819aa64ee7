"""The demo: pretrain on scikit-learn's handwritten digits, evaluate, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import typer

import anymae
from anymae.report.artifacts import save_diagnosis, save_scores

# Digits are aligned, and not themselves when mirrored or cropped; a patch of 2 x 2 pixels has no
# statistics worth normalising by.
OPTIONS: dict[str, Any] = {"flip": False, "crop_scale": None}
SETTINGS: dict[str, Any] = {"target.normalise": "none"}


def demonstrate(out: Path, steps: int) -> None:
    """Run the main job on 1,797 real 8 x 8 images: 80 % to learn from, 20 % to judge by."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images * (255 / 16)).astype(np.uint8), digits.target
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[360:], order[:360]
    run = anymae.pretrain(
        images[train],
        modality="image",
        size="nano",
        steps=steps,
        batch_size=64,
        lr=2e-3,
        mask_ratio=0.6,
        validation=images[test],
        out=out,
        modality_options=OPTIONS,
        **SETTINGS,
    )
    learn, judge = (images[train], labels[train]), (images[test], labels[test])
    for protocol in ("few-shot", "linear"):
        scores = anymae.evaluate(run.model, learn, judge, protocol=protocol)
        save_scores(run.path, protocol, scores)
        typer.echo(str(scores))
    save_diagnosis(run.path, anymae.diagnose(run.model, images[test]))
    typer.echo(f"report: {run.report()}")
