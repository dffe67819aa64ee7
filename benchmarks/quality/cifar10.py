"""MAE on CIFAR-10: frozen features beside raw pixels and a random encoder.

    python -m anymae.benchmarks.quality.cifar10 DATA [--steps 4000] [--out DIR] [--json FILE]

DATA is a folder with ``cifar10_train_jpeg.npz`` and ``cifar10_test_jpeg.npz``: JPEG bytes end to
end (``data``), their ``offsets`` and ``labels``. Encoder 192 x 6 at patch 4, decoder 96 x 2.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged

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
    return {
        "steps": steps,
        "epochs": run.history[-1]["epoch"],
        "pretraining_minutes": round(minutes, 1),
        "images_per_second": round(steps * 256 / minutes / 60),
        "last": run.history[-1],
        "accuracy": judged(run, train, test, PROTOCOLS),
    }


RUNS = (("cifar10",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("cifar10", __doc__, steps=4000)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
