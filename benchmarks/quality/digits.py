"""MAE on pairs: a written and a spoken digit, through one encoder; either may be missing.

    python -m anymae.benchmarks.quality.digits DATA [--steps N] [--seed N] [--out DIR] [--json FILE]

DATA is as for ``fsdd``; the written digits are scikit-learn's. Every recording is paired with an
image of the same digit, so that which is paired with which is itself information; no other label is
used before the probe. Of the training pairs, a quarter lack the image and a quarter the sound.
Test pairs are of speakers never heard and of images never seen. Features are judged of both, of
sounds alone and of images alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality import fsdd
from anymae.benchmarks.quality.record import Benchmark, row

ENCODER = anymae.EncoderConfig(width=192, depth=4, heads=3)
OPTIONS: dict[str, Any] = {
    "image": {"patch_size": 2, "flip": False, "crop_scale": None},
    "audio": fsdd.OPTIONS,
}
SETTINGS: dict[str, Any] = {"target.normalise": "none", "mask.ratio": 0.65}
KNOWN_IMAGES = 1200
"""How many of the 1,797 images are for training."""
Pairs = tuple[list[Any], list[Any]]


def read(data: Path, seed: int) -> tuple[tuple[Pairs, Any], tuple[Pairs, Any]]:
    """(images, recordings) and digits, of the training and of the test part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * (255 / 16)).astype(np.uint8)
    known = np.arange(len(images)) < KNOWN_IMAGES
    draw = np.random.default_rng(seed)
    parts = []
    for (sounds, labels), there in zip(fsdd.read(data), (known, ~known), strict=True):
        of_digit = [np.flatnonzero(there & (digits.target == digit)) for digit in range(10)]
        paired: list[Any] = [images[draw.choice(of_digit[digit])] for digit in labels]
        parts.append(((paired, sounds), labels))
    return parts[0], parts[1]


def with_gaps(pairs: Pairs, seed: int) -> Pairs:
    """Every fourth pair without its image, every fourth without its sound, at random."""
    fate = np.random.default_rng(seed).integers(0, 4, len(pairs[0]))
    images, sounds = (list(stream) for stream in pairs)
    for i in np.flatnonzero(fate == 0):
        images[i] = None
    for i in np.flatnonzero(fate == 1):
        sounds[i] = None
    return images, sounds


def shown(pairs: Pairs, streams: str) -> Pairs:
    """The pairs with one stream alone, or both."""
    nothing: list[Any] = [None] * len(pairs[0])
    return {"both": pairs, "sounds": (nothing, pairs[1]), "images": (pairs[0], nothing)}[streams]


def measure(data: Path, steps: int, seed: int, out: Path) -> dict[str, Any]:
    """Pretrain on pairs, judge what one or both streams give; what is printed and saved."""
    train, test = read(data, seed)
    start = time.perf_counter()
    run = anymae.pretrain(
        with_gaps(train[0], seed),
        modality=("image", "audio"),
        size=ENCODER,
        steps=steps,
        batch_size=96,
        lr=1.5e-3,
        seed=seed,
        modality_options=OPTIONS,
        out=out,
        **SETTINGS,
    )
    minutes = (time.perf_counter() - start) / 60
    rows = {}
    for streams in ("both", "sounds", "images"):
        scores = judge(run.model, streams, train, test)
        print(streams, scores, sep="\n", flush=True)
        rows[streams] = row(scores)
    few = (test[0][0][::125], test[0][1][::125])
    run.model.reconstruct(few).plot(run.path / "reconstruction.png")
    return {
        "steps": steps,
        "seed": seed,
        "pretraining_minutes": round(minutes, 1),
        "last": run.history[-1],
        "accuracy": rows,
    }


def judge(
    model: anymae.Model,
    streams: str,
    train: tuple[Pairs, NDArray[np.int64]],
    test: tuple[Pairs, NDArray[np.int64]],
) -> anymae.Scores:
    """A linear probe on what these streams give."""
    known, asked = ((shown(pairs, streams), labels) for pairs, labels in (train, test))
    return anymae.evaluate(model, known, asked)


RUNS = (("fsdd",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("digits", __doc__, steps=600)
    benchmark.option("--seed", type=int, default=0)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.seed, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
