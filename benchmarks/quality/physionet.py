"""MAE on PhysioNet 2012 (set A): irregular measurements of intensive care stays, without any grid.

    python -m anymae.benchmarks.quality.physionet DATA [--steps 400] [--tune] [--json FILE]

DATA is ``physionet2012_set_a.npz``: stay i owns ``offsets[i]:offsets[i + 1]`` of ``minute``,
``variable`` and ``value``. A token is a row, what was measured at one minute; the static table is
not used. The figure is the area under the ROC curve for death in hospital.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anymae
from anymae.benchmarks.quality.record import Benchmark
from anymae.evaluation.metrics import Accuracy, Prediction
from anymae.modalities.timeseries import Series

ENCODER = anymae.EncoderConfig(width=96, depth=3, heads=4)
SETTINGS: dict[str, Any] = {"target.normalise": "none", "mask.ratio": 0.5}
TUNING: dict[str, Any] = {"epochs": 6, "batch_size": 64, "lr": 1e-3, "augment": False}


def read(path: Path) -> tuple[list[Series], np.ndarray, np.ndarray]:
    """Stays, labels (n,) and which are for test (n,)."""
    with np.load(path, allow_pickle=False) as file:
        minute, variable, value = (file[name] for name in ("minute", "variable", "value"))
        offsets, labels, is_test = (file[name] for name in ("offsets", "labels", "is_test"))
    stays = []
    for start, stop in pairwise(offsets):
        times, row = np.unique(minute[start:stop], return_inverse=True)
        values = np.full((len(times), variable.max() + 1), np.nan, dtype=np.float32)
        values[row, variable[start:stop]] = value[start:stop]
        stays.append(Series(values, times.astype(np.float64)))
    return stays, labels.astype(np.int64), is_test


def measure(data: Path, steps: int, tune: bool, out: Path, seed: int) -> dict[str, Any]:
    """Pretrain on the training stays, judge frozen and, if asked, fine-tuned features."""
    stays, labels, is_test = read(data)
    train = [stays[i] for i in np.flatnonzero(~is_test)]
    test = [stays[i] for i in np.flatnonzero(is_test)]
    run = anymae.pretrain(
        train,
        modality="timeseries",
        size=ENCODER,
        steps=steps,
        batch_size=64,
        lr=2e-3,
        out=out,
        seed=seed,
        modality_options={"irregular": True, "channels": "joint"},
        **SETTINGS,
    )
    known, asked = (train, labels[~is_test]), (test, labels[is_test])
    scores = anymae.evaluate(run.model, known, asked, protocol="linear")
    print(scores, flush=True)
    found = {
        name: score.details["auc"]
        for name, score in (
            ("pretrained", scores), ("raw", scores.raw), ("random_init", scores.random_init)
        )
    }  # fmt: skip
    if tune:
        tuned = anymae.finetune(run.model, known, task="classification", seed=seed, **TUNING)
        chances = torch.from_numpy(tuned.predict_proba(test))
        truth = torch.from_numpy(asked[1])
        guess = Prediction(chances.argmax(1), chances)
        found["fine_tuned"] = Accuracy().details(truth, guess)["auc"]
    return {
        "steps": steps,
        "seed": seed,
        "pretraining_seconds": round(run.history[-1]["seconds"]),
        "last": run.history[-1],
        "auc": found,
    }


def main() -> None:
    """See the module's docstring."""
    benchmark = Benchmark("physionet", __doc__)
    benchmark.option("--steps", type=int, default=400)
    benchmark.option("--tune", action="store_true")
    benchmark.option("--seed", type=int, default=0)
    options = benchmark.parser.parse_args()
    result = measure(options.data, options.steps, options.tune, options.out, options.seed)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
