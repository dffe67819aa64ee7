"""MAE on spoken digits: frozen features of speakers never heard, beside raw and random ones.

    python -m anymae.benchmarks.quality.fsdd DATA [--steps N] [--seeds N] [--out DIR] [--json FILE]

DATA is ``fsdd_recordings.zip`` of the Free Spoken Digit Dataset, or a folder that holds it: 3,000
wav files ``digit_speaker_take.wav``. Two of the six speakers are the test set; neither their sounds
nor their labels are used before. Settings were chosen among the other four, each held out in turn.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark, judged
from anymae.modalities.audio.adapter import AudioAdapter

TEST_SPEAKERS = ("theo", "yweweler")
ENCODER = anymae.EncoderConfig(width=256, depth=4, heads=4)
OPTIONS: dict[str, Any] = {
    "n_mels": 32,
    "low": 100,
    "high": 3400,
    "patch_size": (2, 32),
    "trim_db": 20,
    "top_db": 45,
    "centre": "clip",
    "speed": 0.2,
}
SETTINGS: dict[str, Any] = {
    "target.normalise": "none",
    "mask.priority": {"kind": "span", "length": 6},
    "mask.ratio": 0.6,
}
"""Spans of 120 ms: what is hidden token by token is said by its neighbours, and features learned so
were worse than a random encoder's for a speaker never heard."""
PROTOCOLS = ("linear", "knn")
POOL = "mean+max+std"
Recordings = tuple[list[Any], NDArray[np.int64]]


def read(path: Path) -> tuple[Recordings, Recordings]:
    """(waveform, rate) pairs and digits of the training and of the test speakers."""
    reader = AudioAdapter()
    parts: dict[bool, tuple[list[Any], list[int]]] = {False: ([], []), True: ([], [])}
    with ZipFile(path / "fsdd_recordings.zip" if path.is_dir() else path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".wav")):
            digit, speaker, _ = Path(name).stem.split("_")
            samples, labels = parts[speaker in TEST_SPEAKERS]
            samples.append(reader.read(io.BytesIO(archive.read(name)), name))
            labels.append(int(digit))
    train, test = ((samples, np.array(labels)) for samples, labels in parts.values())
    return train, test


def measure(data: Path, steps: int, seed: int, out: Path) -> dict[str, Any]:
    """Pretrain on the training speakers, evaluate on the others, and write the report."""
    train, test = read(data)
    start = time.perf_counter()
    run = anymae.pretrain(
        train[0],
        modality="audio",
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
    return {
        "seed": seed,
        "epochs": run.history[-1]["epoch"],
        "pretraining_minutes": round(minutes, 1),
        "last": run.history[-1],
        "accuracy": judged(run, train, test, PROTOCOLS, pool=POOL),
    }


RUNS = (("fsdd",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("fsdd", __doc__, steps=600)
    benchmark.option("--seeds", type=int, default=1)
    options = benchmark.parse(arguments)
    runs = [
        measure(options.data, options.steps, seed, options.out / f"seed{seed}")
        for seed in range(options.seeds)
    ]
    settings = {"encoder": ENCODER.model_dump(), "options": OPTIONS, "settings": SETTINGS}
    benchmark.record(options, {"test_speakers": TEST_SPEAKERS, **settings, "runs": runs})


if __name__ == "__main__":
    main()
