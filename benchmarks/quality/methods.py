"""Which methods beat plain MAE at equal compute: recipes x modalities, beside raw and random.

    python -m anymae.benchmarks.quality.methods DATA [--tasks image audio ...] [--recipes mae ...]
        [--equal compute] [--steps 300] [--seeds 2] [--out DIR] [--json FILE]

DATA is the folder of all sets: ``fsdd/``, ``ycb_scans/``, ``ts_classification/`` (OSULeaf),
``tabular/`` (the first 6,000 rows of Adult); images are scikit-learn's digits. MAE takes
``--steps`` steps; every other recipe as many as cost the same floating-point operations, teachers
included, counted on one batch, or with ``--equal steps`` as many. A recipe may have settings of its
own: ``mae,decoder=cross``. Sizes, data and probe (linear, on the mean of the tokens) are the
same for all; a recipe's other settings are its own with the modality's numbers, none tuned here,
but moving averages follow faster (0.98 to 0.999), as runs are short. Intervals are over seeds
(Student's t).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anymae
from anymae.benchmarks.operations import operations
from anymae.benchmarks.quality import fsdd, tables, ycb
from anymae.benchmarks.quality.record import Benchmark
from anymae.cli.settings import parsed
from anymae.data.batches import read_batch
from anymae.data.sources import open_source
from anymae.errors import IncompatibleRecipe
from anymae.evaluation.intervals import t_half_width
from anymae.model import Model
from anymae.registry import recipe as recipe_named
from anymae.training.arguments import adapter_of, encoder_of, recipe_of
from anymae.views import in_views

ENCODER = anymae.EncoderConfig(width=96, depth=4, heads=3)
BATCH = 64
RECIPES = (
    "mae", "simmim", "crossmae", "beit-block", "ccvit", "random-features", "latent-mim",
    "data2vec2", "i-jepa",
)  # fmt: skip
SHORT = {"teacher.start": 0.98, "teacher.end": 0.999}
Labelled = tuple[Any, Any]


@dataclass(frozen=True)
class Task:
    """Labelled training and test data of one modality, and its options."""

    modality: str
    train: Labelled
    test: Labelled
    options: Mapping[str, Any]


def images(data: Path) -> Task:
    """scikit-learn's digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * (255 / 16)).astype(np.uint8)
    known, asked = slice(0, 1200), slice(1200, None)
    return Task(
        "image",
        (pixels[known], digits.target[known]),
        (pixels[asked], digits.target[asked]),
        {"patch_size": 2, "flip": False, "crop_scale": (0.6, 1.0)},
    )


def sounds(data: Path) -> Task:
    """Spoken digits of speakers never heard."""
    train, test = fsdd.read(data / "fsdd")
    return Task("audio", train, test, fsdd.OPTIONS)


def clouds(data: Path) -> Task:
    """Scans in their principal axes."""
    train, test = ycb.read(data / "ycb_scans")
    return Task("pointcloud", train, test, {"normalise": "centre", "rotate": "none"})


def series(data: Path) -> Task:
    """Outlines of leaves, begun anywhere."""
    with np.load(data / "ts_classification" / "OSULeaf.npz", allow_pickle=False) as file:
        values, labels, is_test = file["X"], file["labels"].astype(np.int64), file["is_test"]
    values = values.transpose(0, 2, 1)
    return Task(
        "timeseries",
        (values[~is_test], labels[~is_test]),
        (values[is_test], labels[is_test]),
        {"patch": 16, "roll": True, "scale": 0.2},
    )


def rows(data: Path) -> Task:
    """Six thousand rows of Adult for training, two thousand for the test."""
    train, test = (part.head(n) for part, n in zip(
        tables.read(data / "tabular", "adult"), (6000, 2000), strict=True
    ))  # fmt: skip
    return Task("tabular", train, test, {"label": tables.LABELS["adult"]})


TASKS: dict[str, Callable[[Path], Task]] = {
    "image": images, "audio": sounds, "pointcloud": clouds, "timeseries": series, "tabular": rows,
}  # fmt: skip


def method(entry: str) -> tuple[str, dict[str, Any]]:
    """The recipe of ``name[,key=value ...]`` and its settings in a short run."""
    name, *settings = entry.split(",")
    short = SHORT if recipe_named(name).teacher.kind == "ema" else {}
    return name, {**short, **parsed(settings)}


def cost_of(task: Task, entry: str) -> float:
    """Floating-point operations of one training step, forward and backward. Raises
    ``IncompatibleRecipe``."""
    name, settings = method(entry)
    adapter = adapter_of(task.modality, task.options, name)
    source = open_source(samples_of(task.train), adapter)
    indices = np.linspace(0, len(source) - 1, min(BATCH, len(source))).astype(int).tolist()
    adapter = adapter.fit(source[i] for i in indices)
    recipe = recipe_of(name, adapter, None, {}, settings)
    model = Model(adapter, recipe, encoder_of(ENCODER, adapter, name, {}))
    packed = read_batch(source, adapter, indices, 0, "operations")
    model.teacher = recipe.teacher.build(model)
    model.prepare(packed, 0)
    packed = in_views(packed, recipe.views)
    model.train()

    def step() -> None:
        out = model(packed, recipe.mask.draw(packed, model))
        (out.loss + sum(term.sum for term in out.also)).backward()

    return operations(step)


def samples_of(data: Any) -> Any:
    """The samples of (samples, labels); a table holds its labels itself."""
    return data[0] if isinstance(data, tuple) else data


def judged(task: Task, entry: str, steps: int, seed: int, out: Path) -> anymae.Scores:
    """A linear probe after pretraining."""
    name, settings = method(entry)
    run = anymae.pretrain(
        samples_of(task.train),
        modality=task.modality,
        recipe=name,
        size=ENCODER,
        steps=steps,
        batch_size=BATCH,
        lr=2e-3,
        seed=seed,
        out=out,
        modality_options=task.options,
        **settings,
    )
    return anymae.evaluate(run.model, task.train, task.test, seeds=1, seed=seed)


def measure(options: Any) -> dict[str, Any]:
    """Every recipe on every task: what is saved."""
    found: dict[str, Any] = {}
    for which in options.tasks:
        task = TASKS[which](options.data)
        cost = {}
        rows = found[which] = {}
        for name in dict.fromkeys(("mae", *options.recipes)):
            try:
                cost[name] = cost_of(task, name)
            except IncompatibleRecipe as refusal:
                rows[name] = {"refused": str(refusal)}
                continue
            share = cost["mae"] / cost[name] if options.equal == "compute" else 1.0
            steps = max(1, round(options.steps * share))
            scores = [
                judged(task, name, steps, seed, options.out / which / f"{name}-{seed}")
                for seed in range(options.seeds)
            ]
            rows.setdefault("raw", {"values": [scores[0].raw.value]})
            rows.setdefault("random", {"values": [s.random_init.value for s in scores]})
            rows[name] = {
                "steps": steps,
                "cost": cost[name] / cost["mae"],
                "values": [s.value for s in scores],
            }
            print(which, name, json.dumps(rows[name]), flush=True)
        against_mae(rows)
    return found


def against_mae(rows: dict[str, Any]) -> None:
    """Adds each row's mean and its difference to MAE, seed by seed, with a 95 % interval."""
    mae = np.array(rows["mae"]["values"])
    for name, row in rows.items():
        if "values" not in row:
            continue
        values = np.array(row["values"])
        row["mean"] = float(values.mean())
        if name in ("mae", "raw") or len(values) < 2:
            continue
        change = values - mae
        half = t_half_width(torch.from_numpy(change))
        row["over_mae"] = float(change.mean())
        row["interval"] = [float(change.mean() - half), float(change.mean() + half)]


def table(found: Mapping[str, Any]) -> str:
    """Markdown: a row a recipe, a column a task; bold where the interval excludes 0."""
    names = list(dict.fromkeys(chain.from_iterable(found.values())))
    lines = [f"| | {' | '.join(found)} |", "| --- |" + " --- |" * len(found)]
    for name in names:
        cells = [cell(rows.get(name, {})) for rows in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: Mapping[str, Any]) -> str:
    """A row's mean and its difference to MAE, as Markdown."""
    if "mean" not in row:
        return "refuses" if "refused" in row else ""
    text = f"{row['mean']:.3f}"
    if "interval" not in row:
        return text
    low, high = row["interval"]
    text += f" ({row['over_mae']:+.3f})"
    return f"**{text}**" if low > 0 or high < 0 else text


RUNS = ((".",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("methods", __doc__, steps=300)
    benchmark.option("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    benchmark.option("--recipes", nargs="+", default=list(RECIPES))
    benchmark.option("--equal", choices=("compute", "steps"), default="compute")
    benchmark.option("--seeds", type=int, default=2)
    options = benchmark.parse(arguments)
    found = measure(options)
    print(table(found))
    benchmark.record(options, {"encoder": ENCODER.model_dump(), "tasks": found})


if __name__ == "__main__":
    main()
