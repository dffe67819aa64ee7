"""MAE on moving glyphs: frozen features beside raw pixels and a random encoder.

    python -m anymae.benchmarks.quality.moving_glyphs DATA [--steps N] [--out DIR] [--json FILE]

DATA is a folder with ``moving_glyphs_16x32.npz``: ``video`` (2500, 16, 32, 32) uint8, ``labels``
(8 motions) and ``is_test``. Handwritten characters move over a torus, past still ones; those of
the test part occur nowhere in training, and no single frame tells the motion.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged

ENCODER = anymae.EncoderConfig(width=96, depth=4, heads=3)
PROTOCOLS = ("linear", "knn")
BATCH = 32
SETTINGS: dict[str, Any] = {
    "mask.groups": "frame",
    "mask.ratio": 0.5,
    "position.longest": 5,
    "target.normalise": "none",
    "decoder.width": 64,
    "decoder.depth": 2,
    "training.clip": 1.0,
}
"""Two of the four stacks of frames are hidden whole: what stands still is then found at once, and
the rest can only be told from where the others say it moves. Where tubes are hidden one by one,
their neighbours say nearly as much, and features of motion did not improve on a random encoder's
(glyphs held out of the training set). Wavelengths follow the grid: MAE's reach far beyond it."""
OPTIONS: dict[str, Any] = {"patch_size": (4, 4, 4), "crop_scale": None}
"""No crops: they would change how fast things move."""


def measure(data: Path, steps: int, out: Path) -> dict[str, Any]:
    """Pretrain, evaluate and write the report; returns what is printed and saved."""
    with np.load(data / "moving_glyphs_16x32.npz", allow_pickle=False) as file:
        video, labels, is_test = file["video"], file["labels"].astype(np.int64), file["is_test"]
    train, test = ((video[part], labels[part]) for part in (~is_test, is_test))
    start = time.perf_counter()
    run = anymae.pretrain(
        train[0],
        modality="video",
        size=ENCODER,
        steps=steps,
        batch_size=BATCH,
        lr=3e-3,
        validation=test[0][:128],
        out=out,
        modality_options=OPTIONS,
        **SETTINGS,
    )
    minutes = (time.perf_counter() - start) / 60
    run.model.reconstruct(test[0][:8]).plot(run.path / "reconstruction.png")
    return {
        "steps": steps,
        "epochs": run.history[-1]["epoch"],
        "pretraining_minutes": round(minutes, 1),
        "clips_per_second": round(steps * BATCH / minutes / 60),
        "last": run.history[-1],
        "accuracy": judged(run, train, test, PROTOCOLS),
    }


RUNS = (("moving_glyphs",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("moving_glyphs", __doc__, steps=2000)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
