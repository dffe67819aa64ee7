"""Imputation of tables: hidden cells said by MAE, neighbours, regressions, means and modes.

    python -m anymae.benchmarks.quality.imputation DATA [--tables adult ...] [--steps 1500]
        [--missing 0.3] [--out DIR] [--json FILE]

DATA is as for ``tables``. Models are pretrained on the training rows without labels; cells of test
rows are hidden at random. Errors are relative to means and modes, averaged over columns.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anymae
from anymae.benchmarks.quality.record import Benchmark, shown
from anymae.benchmarks.quality.tables import ENCODER, LABELS, pretrained, read
from anymae.evaluation.protocols.imputation import Imputation


def measure(data: Path, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One table: what is printed and saved."""
    train, test = read(data, name)
    run = pretrained(name, train, options.steps, options.out)
    protocol = Imputation(missing=options.missing)
    scores = anymae.evaluate(run.model, train, test, protocol=protocol)
    print(scores, flush=True)
    columns = [column for column in train.columns if column != LABELS[name]]
    ratios = scores.details["relative error by place"]
    return {
        "mae": shown(scores),
        "neighbours": shown(scores.raw),
        "chained_regressions": scores.details["relative error of chained regressions"],
        "random_init": scores.random_init.value,
        "mean_or_mode": 1.0,
        "mae_minus_neighbours": list(scores.over_raw.interval),
        "by_column": dict(zip(columns, ratios, strict=True)),
        "train_rows": scores.train_samples,
        "test_rows": scores.test_samples,
        "pretraining_seconds": round(run.history[-1]["seconds"]),
    }


RUNS = (("tabular",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("imputation", __doc__, steps=1500)
    benchmark.option("--tables", nargs="+", choices=LABELS, default=list(LABELS))
    benchmark.option("--missing", type=float, default=0.3)
    options = benchmark.parse(arguments)
    found = {}
    for name in options.tables:
        found[name] = measure(options.data, name, options)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    result = {"encoder": ENCODER.model_dump(), "tables": found}
    benchmark.record(options, result | {"scikit-learn": version("scikit-learn")})


if __name__ == "__main__":
    main()
