"""MAE on series of the UCR archive: frozen features beside raw series and random encoders.

    python -m anymae.benchmarks.quality.ucr DATA SET [--steps 800] [--seeds 3] [--out DIR]
        [--json FILE]

DATA is a folder with ``SET.npz`` (OSULeaf or ACSF1): series ``X`` (n, channels, time), ``labels``
and ``is_test``. Nothing of the test series is seen in pretraining.

A series enters with its slope and curvature as further channels, each with mean 0 and deviation 1;
power consumption (ACSF1) also compressed, as small changes beside large ones say much. A feature
vector holds the mean, deviation, maximum and minimum over the tokens of every layer, of the series
begun at ``PHASES`` steps of a patch: where an outline or a cycle begins means nothing. Raw features
are those same channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged_features
from anymae.evaluation.protocols import SupportVectors

ENCODER = anymae.EncoderConfig(width=128, depth=2, heads=4)
OPTIONS = {"patch": 16, "channels": "joint", "roll": True, "scale": 0.2}
SETTINGS: dict[str, Any] = {"target.normalise": "none", "mask.ratio": 0.5}
COMPRESSED = {"OSULeaf": False, "ACSF1": True}
COMPRESSION = 30.0
CURVATURE = 4
"""Steps to either side over which curvature is taken; slope is over one."""
PHASES = 4
COSTS = (1e-3, 1e-2)
"""Of the support vector machine, chosen by cross-validation on the training series."""
Array = NDArray[np.float32]


def measure(data: Path, name: str, steps: int, out: Path, seed: int) -> dict[str, Any]:
    """Pretrain on the training series, judge features of all; what is printed and saved."""
    with np.load(data / f"{name}.npz", allow_pickle=False) as file:
        series, labels, is_test = file["X"], file["labels"].astype(np.int64), file["is_test"]
    series = prepared(series.transpose(0, 2, 1), COMPRESSED[name])
    train, test = series[~is_test], series[is_test]
    run = anymae.pretrain(
        train,
        modality="timeseries",
        size=ENCODER,
        steps=steps,
        batch_size=32,
        lr=2e-3,
        out=out,
        seed=seed,
        modality_options=OPTIONS,
        **SETTINGS,
    )
    known, asked = (train, labels[~is_test]), (test, labels[is_test])
    machine = {"svm": SupportVectors(costs=COSTS)}
    return {
        "set": name,
        "steps": steps,
        "seed": seed,
        "pretraining_seconds": round(run.history[-1]["seconds"]),
        "last": run.history[-1],
        "accuracy": judged_features(run, pooled, known, asked, machine, seed),
    }


def prepared(series: Array, compressed: bool) -> Array:
    """(n, T, 3 or 5) from (n, T, 1): the series and, of it or of its compressed values (then also
    these), slope and curvature, as if its end met its beginning; each of mean 0, deviation 1."""
    shape, channels = series, [series]
    if compressed:
        centred = series - np.median(series, axis=1, keepdims=True)
        shape = np.arcsinh(COMPRESSION * centred)
        channels += [shape, moved(series, 1) - series]
    around = moved(shape, CURVATURE) + moved(shape, -CURVATURE)
    channels += [moved(shape, 1) - shape, around - 2 * shape]
    standard = [(c - c.mean(1, keepdims=True)) / (c.std(1, keepdims=True) + 1e-8) for c in channels]
    return np.concatenate(standard, 2).astype(np.float32)


def moved(series: Array, steps: int) -> Array:
    """The series ``steps`` later, as if its end met its beginning."""
    return np.roll(series, -steps, axis=1)


def pooled(model: anymae.Model, series: Array) -> torch.Tensor:
    """(n, 4 depth width) float32 features of series (n, T, C)."""
    patch = model.adapter.token_shape[0]
    rows = []
    for layer in range(model.encoder.config.depth):
        phases = []
        for phase in range(PHASES):
            begun = moved(series, phase * patch // PHASES)
            tokens = [torch.from_numpy(t) for t in model.embed(begun, pool=None, layer=layer)]
            phases.append([
                torch.stack([t.mean(0) for t in tokens]),
                torch.stack([t.square().mean(0) for t in tokens]),
                torch.stack([t.amax(0) for t in tokens]),
                torch.stack([t.amin(0) for t in tokens]),
            ])  # fmt: skip
        mean, square, high, low = (torch.stack(part) for part in zip(*phases, strict=True))
        middle = mean.mean(0)
        deviation = (square.mean(0) - middle.square()).clamp(min=0).sqrt()
        rows += [middle, deviation, high.amax(0), low.amin(0)]
    return torch.cat(rows, 1)


RUNS = tuple(("ts_classification", name) for name in sorted(COMPRESSED))


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("ucr", __doc__, steps=800)
    benchmark.option("set", choices=sorted(COMPRESSED))
    benchmark.option("--seeds", type=int, default=3)
    options = benchmark.parse(arguments)
    runs = [
        measure(options.data, options.set, options.steps, options.out / f"seed{seed}", seed)
        for seed in range(options.seeds)
    ]
    kinds = runs[0]["accuracy"]["svm"]
    means = {
        kind: float(np.mean([run["accuracy"]["svm"][kind]["value"] for run in runs]))
        for kind in kinds
    }
    benchmark.record(options, {"mean_accuracy": means, "runs": runs})


if __name__ == "__main__":
    main()
