"""Imputation of tables: hidden cells said by MAE, neighbours, regressions, means and modes.

    python -m anymae.benchmarks.quality.imputation DATA [--tables adult ...] [--steps 1500]
        [--missing 0.3] [--out DIR] [--json FILE]

DATA is as for ``tables``. Models are pretrained on the training rows without labels; cells of test
rows are hidden at random. Errors are relative to means and modes, averaged over columns.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anymae
from anymae.benchmarks.quality.tables import ENCODER, LABELS, pretrained, read
from anymae.benchmarks.speed.machine import machine
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
        "mae": {"value": scores.value, "interval": list(scores.interval)},
        "neighbours": {"value": scores.raw.value, "interval": list(scores.raw.interval)},
        "chained_regressions": scores.details["relative error of chained regressions"],
        "random_init": scores.random_init.value,
        "mean_or_mode": 1.0,
        "mae_minus_neighbours": list(scores.over_raw.interval),
        "by_column": dict(zip(columns, ratios, strict=True)),
        "train_rows": scores.train_samples,
        "test_rows": scores.test_samples,
        "pretraining_seconds": round(run.history[-1]["seconds"]),
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tables", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--missing", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for name in options.tables:
        found[name] = measure(options.data, name, options)
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    if options.json:
        tables = " ".join(options.tables)
        result = {
            "command": "python -m anymae.benchmarks.quality.imputation DATA "
            f"--tables {tables} --steps {options.steps} --missing {options.missing}",
            "encoder": ENCODER.model_dump(),
            "tables": found,
            "scikit-learn": version("scikit-learn"),
            "machine": machine(),
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
