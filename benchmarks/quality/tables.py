"""MAE on tables: fine-tuned rows beside gradient-boosted trees.

    python -m anymae.benchmarks.quality.tables DATA [--tables adult ...] [--steps 1500]
        [--seeds 1] [--out DIR] [--json FILE]

DATA is a folder with ``adult.parquet``, ``california_housing.parquet`` and
``hr_job_change.parquet``, each with a ``split`` column of train and test. Models are pretrained on
the training rows without labels and fine-tuned; the answers of ``--seeds`` fine-tunings are
averaged. Settings come from a few trials on a fifth of the training rows, not from a search. The
trees are scikit-learn's HistGradientBoosting with its defaults and native categories.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark

ENCODER = anymae.EncoderConfig(width=64, depth=3, heads=2)
LABELS = {
    "adult": "income",
    "california_housing": "median_house_value",
    "hr_job_change": "target",
}
BATCH = 256
SETTINGS: dict[str, Any] = {"training.workers": 0}
TUNING: dict[str, Any] = {
    "batch_size": BATCH,
    "layer_decay": 1.0,
    "label_smoothing": 0.0,
    "augment": False,
}
CHOSEN: dict[str, dict[str, Any]] = {
    "adult": {"epochs": 6, "lr": 1e-3, "drop_path": 0.1},
    "california_housing": {"epochs": 14, "lr": 1e-3, "drop_path": 0.0},
    "hr_job_change": {"epochs": 3, "lr": 5e-4, "drop_path": 0.1},
}


def read(data: Path, name: str) -> tuple[Any, Any]:
    """Training and test rows as DataFrames, without the column that tells them apart."""
    import pandas as pd

    frame = pd.read_parquet(data / f"{name}.parquet")
    train, test = (
        frame[frame["split"] == part].drop(columns="split").reset_index(drop=True)
        for part in ("train", "test")
    )
    return train, test


def pretrained(name: str, train: Any, steps: int, out: Path) -> anymae.Run:
    """A run on the training rows; a finished one in ``out`` is taken as it is."""
    return anymae.pretrain(
        train,
        modality="tabular",
        size=ENCODER,
        steps=steps,
        batch_size=BATCH,
        lr=2e-3,
        out=out / name,
        modality_options={"label": LABELS[name]},
        **SETTINGS,
    )


def tuned(
    model: anymae.Model, train: Any, test: Any, task: str, chosen: dict[str, Any], seeds: int
) -> NDArray[np.float64]:
    """(n,) the mean answer of fine-tunings with several seeds: numbers, or the probability of the
    second class."""
    answers = []
    for seed in range(seeds):
        found = anymae.finetune(model, train, task=task, seed=seed, **TUNING, **chosen)
        if task == "regression":
            answers.append(found.predict(test))
        else:
            answers.append(found.predict_proba(test)[:, 1])
    return np.mean(answers, axis=0, dtype=np.float64)


def trees(train: Any, test: Any, label: str, task: str) -> NDArray[np.float64]:
    """(n,) the answers of gradient-boosted trees."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, x_test = train.drop(columns=label), test.drop(columns=label)
    for column in x.select_dtypes(exclude="number"):
        kinds = pd.CategoricalDtype(sorted(x[column].dropna().unique()))
        x[column], x_test[column] = x[column].astype(kinds), x_test[column].astype(kinds)
    options = {"categorical_features": "from_dtype", "random_state": 0}
    if task == "regression":
        return HistGradientBoostingRegressor(**options).fit(x, train[label]).predict(x_test)
    model = HistGradientBoostingClassifier(**options).fit(x, train[label])
    return model.predict_proba(x_test)[:, 1]


def score(answers: NDArray[np.float64], test: Any, label: str, task: str) -> float:
    """The area under the ROC curve, or the root mean squared error."""
    from sklearn.metrics import roc_auc_score

    truth = test[label].to_numpy()
    if task == "regression":
        return float(np.sqrt(np.mean((answers - truth) ** 2)))
    return float(roc_auc_score(truth == sorted(set(truth))[1], answers))


def measure(data: Path, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One table: what is printed and saved."""
    train, test = read(data, name)
    label = LABELS[name]
    task = "regression" if train[label].dtype.kind == "f" else "classification"
    run = pretrained(name, train, options.steps, options.out)
    start = time.perf_counter()
    answers = tuned(run.model, train, test, task, CHOSEN[name], options.seeds)
    seconds = time.perf_counter() - start
    reference = score(trees(train, test, label, task), test, label, task)
    return {
        "metric": "RMSE" if task == "regression" else "AUC",
        "fine_tuned": score(answers, test, label, task),
        "trees": reference,
        "train_rows": len(train),
        "test_rows": len(test),
        "pretraining_seconds": round(run.history[-1]["seconds"]),
        "tuning_seconds": round(seconds),
    }


RUNS = (("tabular",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("tables", __doc__, steps=1500)
    benchmark.option("--tables", nargs="+", choices=LABELS, default=list(LABELS))
    benchmark.option("--seeds", type=int, default=1)
    options = benchmark.parse(arguments)
    found = {}
    for name in options.tables:
        found[name] = measure(options.data, name, options)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    tuning = TUNING | {"by_table": CHOSEN}
    result = {"encoder": ENCODER.model_dump(), "tuning": tuning, "tables": found}
    benchmark.record(options, result | {"scikit-learn": version("scikit-learn")})


if __name__ == "__main__":
    main()
