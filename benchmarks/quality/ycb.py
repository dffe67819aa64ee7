"""MAE on partial scans of 79 objects: frozen features beside raw ones and a random encoder.

    python -m anymae.benchmarks.quality.ycb DATA [--steps 2000] [--out DIR] [--json FILE]

DATA is a folder with ``ycb_scans_512.npz``: ``points_e4`` (2054, 512, 3) int16 in 0.1 mm, simulated
views of real scanned objects from random directions, ``labels`` and ``is_test`` (views 20 to 25 of
each object). Sizes are kept in metres, scans are turned into their own principal axes. Encoder
128 x 3, decoder 64 x 2, 32 groups of 32.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged

ENCODER = anymae.EncoderConfig(width=128, depth=3, heads=4)
OPTIONS = {"normalise": "centre", "align": True, "rotate": "none", "stretch": (0.9, 1.1)}
OVERRIDES: dict[str, Any] = {"decoder.width": 64, "decoder.depth": 2, "mask.ask": 0.5}
PROTOCOLS = ("svm", "linear", "knn")
POOL: Final = "mean"


def measure(data: Path, steps: int, out: Path) -> dict[str, Any]:
    """Pretrain on the training views, evaluate; returns what is printed and saved."""
    with np.load(data / "ycb_scans_512.npz", allow_pickle=False) as file:
        points = file["points_e4"].astype(np.float32) / 1e4
        labels, is_test = file["labels"].astype(np.int64), file["is_test"]
    train, test = ((points[part], labels[part]) for part in (~is_test, is_test))
    start = time.perf_counter()
    run = anymae.pretrain(
        train[0],
        modality="pointcloud",
        size=ENCODER,
        steps=steps,
        batch_size=64,
        lr=2e-3,
        out=out,
        modality_options=OPTIONS,
        **OVERRIDES,
    )
    minutes = (time.perf_counter() - start) / 60
    run.model.reconstruct(test[0][::60][:8]).plot(run.path / "picture.png")
    return {
        "steps": steps,
        "pool": POOL,
        "pretraining_minutes": round(minutes, 1),
        "clouds_per_second": round(steps * 64 / minutes / 60),
        "accuracy": judged(run, train, test, PROTOCOLS, pool=POOL),
        "report": str(run.report()),
    }


def main() -> None:
    """See the module's docstring."""
    benchmark = Benchmark("ycb", __doc__)
    benchmark.option("--steps", type=int, default=2000)
    options = benchmark.parser.parse_args()
    result = measure(options.data, options.steps, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
