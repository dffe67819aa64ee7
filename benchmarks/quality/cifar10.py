"""MAE on CIFAR-10: frozen features beside raw pixels and a random encoder.

    python -m anymae.benchmarks.quality.cifar10 DATA [--steps 4000] [--out DIR] [--json FILE]

DATA is a folder with ``cifar10_train_jpeg.npz`` and ``cifar10_test_jpeg.npz``: JPEG bytes end to
end (``data``), their ``offsets`` and ``labels``. Encoder 192 x 6 at patch 4, decoder 96 x 2.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.speed.machine import machine
from anymae.report.artifacts import save_scores

ENCODER = anymae.EncoderConfig(width=192, depth=6, heads=3)
PROTOCOLS = ("linear", "knn")


def read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, 32, 32, 3) images, decoded once, and (n,) labels."""
    from PIL import Image

    with np.load(path, allow_pickle=False) as file:
        data, offsets, labels = file["data"], file["offsets"], file["labels"]
    pieces = (data[a:b].tobytes() for a, b in pairwise(offsets))
    images = np.stack([np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in pieces])
    return images, labels.astype(np.int64)


def measure(data: Path, steps: int, out: Path) -> dict[str, Any]:
    """Pretrain, evaluate and write the report; returns what is printed and saved."""
    train, test = (read(data / f"cifar10_{part}_jpeg.npz") for part in ("train", "test"))
    start = time.perf_counter()
    run = anymae.pretrain(
        train[0],
        modality="image",
        size=ENCODER,
        steps=steps,
        batch_size=256,
        lr=2e-3,
        validation=test[0][:2000],
        out=out,
    )
    minutes = (time.perf_counter() - start) / 60
    rows = {}
    for protocol in PROTOCOLS:
        scores = anymae.evaluate(run.model, train, test, protocol=protocol)
        save_scores(run.path, protocol, scores)
        print(scores, flush=True)
        rows[protocol] = {
            name: {"value": score.value, "interval": list(score.interval)}
            for name, score in (
                ("pretrained", scores), ("raw", scores.raw), ("random_init", scores.random_init)
            )
        }  # fmt: skip
    return {
        "steps": steps,
        "epochs": run.history[-1]["epoch"],
        "pretraining_minutes": round(minutes, 1),
        "images_per_second": round(steps * 256 / minutes / 60),
        "last": run.history[-1],
        "accuracy": rows,
        "report": str(run.report()),
        "machine": machine(),
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("runs/cifar10"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.data, options.steps, options.out)
    print(json.dumps(result, indent=1))
    if options.json:
        command = f"python -m anymae.benchmarks.quality.cifar10 DATA {' '.join(sys.argv[2:])}"
        options.json.write_text(json.dumps({"command": command, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
