"""History: one row a logged step, as a list of dicts and as ``history.csv``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from anymae.storage import replaced

COLUMNS = (
    "step",
    "epoch",
    "loss",
    "explained_variance",
    "validation_loss",
    "validation_explained_variance",
    "lr",
    "grad_norm",
    "tokens_per_second",
    "samples_per_second",
    "waiting",
    "skipped_steps",
    "bad_samples",
    "seconds",
)


def write_history(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace ``history.csv`` by these rows, atomically. Raises ``CheckpointError``."""
    with replaced(path) as scratch, open(scratch, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``history.csv``; empty cells are left out."""
    with open(path, newline="") as file:
        return [
            {
                k: (int(v) if k in ("step", "skipped_steps", "bad_samples") else float(v))
                for k, v in row.items()
                if v
            }
            for row in csv.DictReader(file)
        ]
