"""MAE on partial scans of 79 objects: frozen features beside raw ones and a random encoder.

    python -m anymae.benchmarks.quality.ycb DATA [--steps 2000] [--out DIR] [--json FILE]

DATA is a folder with ``ycb_scans_512.npz``: ``points_e4`` (2054, 512, 3) int16 in 0.1 mm, simulated
views of real scanned objects from random directions, ``labels`` and ``is_test`` (views 20 to 25 of
each object). Sizes are kept in metres, scans are turned into their own principal axes. Encoder
128 x 3, decoder 64 x 2, 32 groups of 32.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import anymae
from anymae.benchmarks.speed.machine import machine
from anymae.report.artifacts import save_scores

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
    rows = {}
    for protocol in PROTOCOLS:
        scores = anymae.evaluate(run.model, train, test, protocol=protocol, pool=POOL)
        save_scores(run.path, protocol, scores)
        print(scores, flush=True)
        rows[protocol] = {
            name: {"value": score.value, "interval": list(score.interval)}
            for name, score in (
                ("pretrained", scores), ("raw", scores.raw), ("random_init", scores.random_init)
            )
        }  # fmt: skip
    run.model.reconstruct(test[0][::60][:8]).plot(run.path / "picture.png")
    return {
        "steps": steps,
        "pool": POOL,
        "pretraining_minutes": round(minutes, 1),
        "clouds_per_second": round(steps * 64 / minutes / 60),
        "accuracy": rows,
        "report": str(run.report()),
        "machine": machine(),
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("runs/ycb"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.data, options.steps, options.out)
    print(json.dumps(result, indent=1))
    if options.json:
        command = f"python -m anymae.benchmarks.quality.ycb DATA {' '.join(sys.argv[2:])}"
        options.json.write_text(json.dumps({"command": command, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
