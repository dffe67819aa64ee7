"""MAE on radar points of people moving: frozen features beside raw ones and a random encoder.

    python -m anymae.benchmarks.quality.radhar DATA [--steps 400] [--out DIR] [--json FILE]

DATA is a folder with ``radhar_train_2s.npz``: two-second windows (60 frames) of five activities,
each 882 to 1,720 ``points`` (x, y, z in mm, velocity in mm/s, intensity), their ``frame``, and
``is_test``, by recording. A window is one cloud in space and time. Encoder 96 x 4.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged

ENCODER = anymae.EncoderConfig(width=96, depth=4, heads=3)
OPTIONS = {
    "normalise": "centre", "axes": 4, "time_weight": 30, "rotate": "none", "stretch": (0.9, 1.1),
}  # fmt: skip
"""Where somebody stands says nothing of what they do. Time counts thirty times: a token is nearly
what was seen at one moment."""
PROTOCOLS = {"svm": {"kind": "svm", "kernel": "rbf"}, "linear": "linear", "knn": "knn"}
POOL: Final = "mean+max+std"


def read(path: Path) -> tuple[list[Any], Any, Any]:
    """Windows (points, 6): x, y, z in metres, seconds, velocity in m/s, intensity; their labels;
    which are test windows."""
    with np.load(path, allow_pickle=False) as file:
        points, offsets = file["points"].astype(np.float32), file["offsets"]
        seconds = file["frame"].astype(np.float32)[:, None] / 30
        labels, is_test = file["labels"].astype(np.int64), file["is_test"]
    columns = [points[:, :3] / 1000, seconds, points[:, 3:4] / 1000, points[:, 4:5] / 100]
    cloud = np.concatenate(columns, 1)
    return [cloud[a:b] for a, b in pairwise(offsets)], labels, is_test


def measure(data: Path, steps: int, out: Path) -> dict[str, Any]:
    """Pretrain on the training windows, evaluate; returns what is printed and saved."""
    windows, labels, is_test = read(data / "radhar_train_2s.npz")
    train, test = (
        ([windows[i] for i in np.flatnonzero(part)], labels[part]) for part in (~is_test, is_test)
    )
    start = time.perf_counter()
    run = anymae.pretrain(
        train[0],
        modality="pointcloud",
        size=ENCODER,
        steps=steps,
        batch_size=32,
        lr=1e-3,
        out=out,
        modality_options=OPTIONS,
    )
    minutes = (time.perf_counter() - start) / 60
    run.model.reconstruct(test[0][::30][:8]).plot(run.path / "picture.png")
    return {
        "steps": steps,
        "pool": POOL,
        "pretraining_minutes": round(minutes, 1),
        "windows_per_second": round(steps * 32 / minutes / 60),
        "accuracy": judged(run, train, test, PROTOCOLS, pool=POOL),
    }


RUNS = (("radhar",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("radhar", __doc__, steps=400)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
