"""Is preparing data ever the bottleneck? Reading, augmenting and tokenizing a batch beside the
training step it feeds, of a tiny encoder (192 x 12), both on one core."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import anymae
from anymae import draws
from anymae.benchmarks.budgets import Budget
from anymae.benchmarks.speed.measure import CPU, interleaved
from anymae.benchmarks.speed.ours import training_step
from anymae.benchmarks.speed.record import kept
from anymae.data.sources import open_source
from anymae.encoder import SIZES
from anymae.precision import resolve

BATCH = 16


@dataclass(frozen=True)
class Input:
    """A batch of samples of a usual size: ``data`` makes what a user would pass."""

    modality: str
    about: str
    data: Callable[[np.random.Generator], Any]
    options: dict[str, Any]


def photos(draw: np.random.Generator) -> list[Any]:
    """JPEG files of 500 x 375 with the detail of photographs, as PIL images yet to be decoded."""
    from PIL import Image

    found = []
    for _ in range(BATCH):
        coarse = Image.fromarray(draw.integers(0, 256, (47, 63, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, "jpeg", quality=90)
        found.append(file)
    return [Image.open(file) for file in found]


def molecules(draw: np.random.Generator) -> list[Any]:
    """Trees of 12 to 36 atoms, with bonds in both directions."""
    import networkx

    found = []
    for _ in range(BATCH):
        graph = networkx.random_labeled_tree(
            int(draw.integers(12, 37)), seed=int(draw.integers(99))
        )
        for node in graph:
            graph.nodes[node]["x"] = draw.standard_normal(16).astype(np.float32)
        found.append(graph)
    return found


def rows(draw: np.random.Generator) -> Any:
    """A table of eight numbers and four categories a row."""
    import pandas

    numbers = {f"number{i}": draw.standard_normal(BATCH) for i in range(8)}
    words = {f"word{i}": draw.choice(list("abcdef"), BATCH) for i in range(4)}
    return pandas.DataFrame({**numbers, **words})


INPUTS = (
    Input(
        "image",
        "JPEG of 500 x 375, cropped to 224 x 224",
        photos,
        {"image_size": 224, "patch_size": 16},
    ),
    Input(
        "video",
        "16 frames of 112 x 112, decoded",
        lambda draw: list(draw.integers(0, 256, (BATCH, 16, 112, 112, 3), dtype=np.uint8)),
        {"image_size": 112, "patch_size": 16, "stride": 1},
    ),
    Input(
        "audio",
        "10 s at 16 kHz, 128 bands",
        lambda draw: list(draw.standard_normal((BATCH, 160_000), dtype=np.float32)),
        {"sample_rate": 16_000, "n_mels": 128, "patch_size": (16, 16)},
    ),
    Input(
        "pointcloud",
        "2,048 points",
        lambda draw: list(draw.standard_normal((BATCH, 2048, 3), dtype=np.float32)),
        {},
    ),
    Input("graph", "12 to 36 nodes", molecules, {}),
    Input(
        "timeseries",
        "512 steps of 7 channels",
        lambda draw: list(draw.standard_normal((BATCH, 512, 7), dtype=np.float32)),
        {"patch": 12},
    ),
    Input("tabular", "8 numbers, 4 categories", rows, {}),
)


def measured(one: Input, rounds: int) -> dict[str, Any]:
    """Samples prepared a second, and preparation's share of a step that includes it."""
    adapter = anymae.modalities()[one.modality](**one.options)
    source = open_source(one.data(np.random.default_rng(0)), adapter)
    adapter = adapter.fit(source[i] for i in range(BATCH))

    def prepare() -> None:
        samples = [
            adapter.augment(source[i], draws.generator(0, 0, i, "augment")) for i in range(BATCH)
        ]
        adapter.batch_tokenize(samples)

    told = adapter.numbers("mae")
    own = {k.removeprefix("encoder."): v for k, v in told.items() if k.startswith("encoder.")}
    settings = {k: v for k, v in told.items() if not k.startswith("encoder.")}
    encoder = SIZES["tiny"].model_copy(update=own)
    samples = [source[i] for i in range(BATCH)]
    step = training_step(adapter, samples, encoder, resolve("auto", CPU), CPU, **settings)
    seconds = interleaved({"prepare": prepare, "step": step}, rounds, threads=1)
    typical = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "about": one.about,
        "per_second": BATCH / typical["prepare"],
        "steps_samples_per_second": BATCH / typical["step"],
        "ratio": typical["step"] / typical["prepare"],
    }


def run(budget: Budget, out: Path) -> dict[str, Any]:
    """Measure all; keep ``inputs.json`` in ``out``."""
    found = {one.modality: measured(one, budget.rounds) for one in INPUTS}
    for name, row in found.items():
        print(f"{name:12s} {row['per_second']:8.0f} samples/s, {row['ratio']:.1f}x the step")
    result = {"precision": resolve("auto", CPU), "rounds": budget.rounds, "modalities": found}
    return kept(result, "inputs", out)
