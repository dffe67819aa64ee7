"""MAE on PhysioNet 2012 (set A): irregular measurements of intensive care stays, without any grid.

    python -m anymae.benchmarks.quality.physionet DATA [--static] [--steps 400] [--tunings N]
        [--seed 0] [--out DIR] [--json FILE]

DATA is ``physionet2012_set_a.npz``: stay i owns ``offsets[i]:offsets[i + 1]`` of ``minute``,
``variable`` and ``value``; a token is a row, what was measured at one minute. With ``--static`` its
row of ``static`` (age, height ...) joins it, a table beside a series in one encoder. The figure is
the area under the ROC curve for death in hospital, of frozen features and of the mean answer of
``--tunings`` fine-tunings. Settings were chosen on a fifth of the training stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark
from anymae.evaluation.metrics import Accuracy, Prediction
from anymae.evaluation.scores import Score, Scores
from anymae.modalities.timeseries import Series

ENCODER = anymae.EncoderConfig(width=96, depth=3, heads=4)
SETTINGS: dict[str, Any] = {"target.normalise": "none", "mask.ratio": 0.5}
TUNING: dict[str, Any] = {
    "epochs": 6, "batch_size": 64, "lr": 1e-3, "augment": False, "pool": "mean+max",
}  # fmt: skip
OF_SERIES: dict[str, Any] = {"irregular": True, "channels": "joint"}
POOL = "mean"


def read(path: Path) -> tuple[list[Series], Any, NDArray[np.int64], NDArray[np.bool_]]:
    """Stays, their static rows (a DataFrame), labels (n,) and which are for test (n,)."""
    import pandas as pd

    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    minute, variable, value = (arrays[name] for name in ("minute", "variable", "value"))
    stays = []
    for start, stop in pairwise(arrays["offsets"]):
        times, row = np.unique(minute[start:stop], return_inverse=True)
        values = np.full((len(times), variable.max() + 1), np.nan, dtype=np.float32)
        values[row, variable[start:stop]] = value[start:stop]
        stays.append(Series(values, times.astype(np.float64)))
    static = pd.DataFrame(arrays["static"], columns=arrays["static_names"].tolist())
    return stays, static, arrays["labels"].astype(np.int64), arrays["is_test"]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain on the training stays, judge frozen and fine-tuned features."""
    stays, static, labels, is_test = read(options.data)

    def part(rows: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
        series = [stays[i] for i in rows]
        table = static.iloc[rows].reset_index(drop=True)
        return (series, table) if options.static else series, labels[rows]

    known, asked = (part(np.flatnonzero(rows)) for rows in (~is_test, is_test))
    run = anymae.pretrain(
        known[0],
        modality=("timeseries", "tabular") if options.static else "timeseries",
        size=ENCODER,
        steps=options.steps,
        batch_size=64,
        lr=2e-3,
        out=options.out,
        seed=options.seed,
        modality_options={"timeseries": OF_SERIES} if options.static else OF_SERIES,
        **SETTINGS,
    )
    scores = anymae.evaluate(run.model, known, asked, protocol="linear", pool=POOL)
    print(scores, flush=True)
    kinds: dict[str, Score | Scores] = {
        "pretrained": scores,
        "raw": scores.raw,
        "random_init": scores.random_init,
    }
    found = {name: score.details["auc"] for name, score in kinds.items()}
    answers = []
    for seed in range(options.tunings):
        tuned = anymae.finetune(run.model, known, task="classification", seed=seed, **TUNING)
        answers.append(torch.from_numpy(tuned.predict_proba(asked[0])))
        found[f"fine_tuned_{seed}"] = area(asked[1], answers[-1])
    if answers:
        found["fine_tuned"] = area(asked[1], torch.stack(answers).mean(0))
    return {
        "pretraining_seconds": round(run.history[-1]["seconds"]),
        "last": run.history[-1],
        "auc": found,
    }


def area(labels: NDArray[np.int64], chances: torch.Tensor) -> float:
    """Under the ROC curve, of probabilities (n, 2)."""
    guess = Prediction(chances.argmax(1), chances)
    return float(Accuracy().details(torch.from_numpy(labels), guess)["auc"])


RUNS = (("physionet2012/physionet2012_set_a.npz",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("physionet", __doc__, steps=400)
    benchmark.option("--static", action="store_true")
    benchmark.option("--tunings", type=int, default=0)
    benchmark.option("--seed", type=int, default=0)
    options = benchmark.parse(arguments)
    benchmark.record(options, measure(options))


if __name__ == "__main__":
    main()
