"""MAE on partial scans of 79 objects: frozen features beside raw ones and a random encoder.

    python -m anymae.benchmarks.quality.ycb DATA [--steps 2000] [--seed 0] [--out DIR] [--json FILE]

DATA is a folder with ``ycb_scans_512.npz``: ``points_e4`` (2054, 512, 3) int16 in 0.1 mm, simulated
views of real scanned objects from random directions, ``labels`` and ``is_test`` (views 20 to 25 of
each object). Nothing of the test views is seen in pretraining.

How a scan is turned says nothing of the object: each is turned into its principal axes, whose
signs are a matter of chance, so that pretraining sees it in the four turns that keep them and a
feature vector is the mean over these. Sizes are kept in metres, and a point's distance from the
scan's middle is given as a feature. Settings were chosen on views 16 to 19 of the training part.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged_features
from anymae.evaluation.protocols import LinearProbe, NearestNeighbours, Protocol, SupportVectors

ENCODER = anymae.EncoderConfig(width=128, depth=3, heads=4)
OPTIONS: dict[str, Any] = {
    "normalise": "centre", "rotate": "none", "stretch": (0.9, 1.1), "group_size": 64, "overlap": 4,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "decoder.width": 64, "decoder.depth": 2, "mask.ratio": 0.8, "mask.ask": 0.5,
}  # fmt: skip
BATCH = 64
PROTOCOLS: dict[str, Protocol] = {
    "svm": SupportVectors(kernel="rbf"),
    "linear": LinearProbe(),
    "knn": NearestNeighbours(),
}
TURNS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
Scans = NDArray[np.float32]


def read(data: Path) -> tuple[tuple[Scans, Any], tuple[Scans, Any]]:
    """Scans (n, 512, 4) and labels of the training and of the test views."""
    with np.load(data / "ycb_scans_512.npz", allow_pickle=False) as file:
        points = file["points_e4"].astype(np.float32) / 1e4
        labels, is_test = file["labels"].astype(np.int64), file["is_test"]
    scans = aligned(points)
    return (scans[~is_test], labels[~is_test]), (scans[is_test], labels[is_test])


def aligned(points: Scans) -> Scans:
    """(n, 512, 4): points around their mean in their principal axes, of largest variance first,
    and their distance from that mean."""
    moved = points - points.mean(1, keepdims=True)
    own = np.linalg.eigh(np.einsum("nki,nkj->nij", moved, moved))[1][:, :, ::-1]
    radius = np.linalg.norm(moved, axis=2, keepdims=True)
    return np.concatenate([moved @ own, radius], 2).astype(np.float32)


def turned(scans: Scans, signs: NDArray[np.float32]) -> Scans:
    """The same scans turned half around an axis."""
    return scans * np.append(signs, np.float32(1))


def features(model: anymae.Model, scans: Scans) -> Tensor:
    """(n, 3 width): mean, maximum and deviation over tokens, averaged over the four turns."""
    turns = [model.embed(turned(scans, signs), pool="mean+max+std") for signs in TURNS]
    return torch.from_numpy(np.mean(turns, axis=0))


def measure(data: Path, steps: int, seed: int, out: Path) -> dict[str, Any]:
    """Pretrain on the training views, judge; returns what is printed and saved."""
    train, test = read(data)
    start = time.perf_counter()
    run = anymae.pretrain(
        np.concatenate([turned(train[0], signs) for signs in TURNS]),
        modality="pointcloud",
        size=ENCODER,
        steps=steps,
        batch_size=BATCH,
        lr=2e-3,
        seed=seed,
        out=out,
        modality_options=OPTIONS,
        **SETTINGS,
    )
    minutes = (time.perf_counter() - start) / 60
    run.model.reconstruct(test[0][::60][:8]).plot(run.path / "picture.png")
    return {
        "steps": steps,
        "seed": seed,
        "pretraining_minutes": round(minutes, 1),
        "clouds_per_second": round(steps * BATCH / minutes / 60),
        "last": run.history[-1],
        "accuracy": judged_features(run, features, train, test, PROTOCOLS, seed),
    }


RUNS = (("ycb_scans",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("ycb", __doc__, steps=2000)
    benchmark.option("--seed", type=int, default=0)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.seed, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
