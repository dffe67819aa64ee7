"""A look at the data before training: held-out batches, trivial losses, samples for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anymae.adapter import Adapter
from anymae.data.batches import Batches, read_batch, readable
from anymae.data.plan import Plan
from anymae.data.sources import Source
from anymae.errors import BadInput
from anymae.model import Model
from anymae.tokens import Packed, concatenate
from anymae.training.arguments import spread
from anymae.training.baselines import trivial
from anymae.training.defaults import Resolved
from anymae.training.distributed import World
from anymae.training.run import RunConfig
from anymae.training.setup import Setup
from anymae.training.sharding import Strategy

LOOK_BYTES = 2**27
"""Memory that held-out tokens, and those of a look, may take."""


def set_up(
    model: Model,
    training: Resolved,
    config: RunConfig,
    world: World,
    train: Source,
    held_out: Source | None,
    look: Packed,
    folder: Path,
    strategy: Strategy,
) -> Setup:
    """Everything a trainer needs: the model with its teacher and with what its targets learn before
    training, and the loss of trivial predictors. ``look`` is a small batch of the training
    data."""
    seed, sample_bytes = config.seed, look.values.nbytes / len(look)
    model.teacher = model.recipe.teacher.build(model)
    first = _first_batches(train, model.adapter, training, seed, _at_most(512, sample_bytes))
    _refuse_nothing_to_ask(model, first)
    model.prepare(concatenate(first), seed)
    checks: list[Packed] = []
    if held_out is not None:
        checks = _held_out(held_out, model.adapter, training, seed, _at_most(2048, sample_bytes))
    return Setup(
        model=model,
        training=training,
        seed=seed,
        precision=config.precision,
        world=world,
        source=train,
        spare=look.slice(0, 1),
        trivial=trivial(model, first),
        held_out=checks,
        trivial_held_out=trivial(model, checks) if checks else None,
        folder=folder,
        strategy=strategy,
    )


def _refuse_nothing_to_ask(model: Model, batches: list[Packed]) -> None:
    """Every step of such a run would be passed over, and the model come out as it went in."""
    if not any(model.recipe.mask.draw(packed, model).of_ask.total for packed in batches):
        longest = max(packed.segments.longest for packed in batches)
        raise BadInput(
            "no sample has a token to hide beside one to see",
            found=f"at most {longest} tokens a sample",
            hint="Make smaller tokens with modality_options, or larger samples.",
        )


def _at_most(samples: int, sample_bytes: float) -> int:
    """As many samples as give a steady number, and fit into ``LOOK_BYTES``."""
    return max(1, min(samples, int(LOOK_BYTES / sample_bytes)))


def _first_batches(
    source: Source, adapter: Adapter, training: Resolved, seed: int, samples: int
) -> list[Packed]:
    """What training sees first, augmented as it will be; no sample twice: a place that only one
    sample has would tell its content."""
    plan = Plan(len(source), min(training.batch_size, 64), min(samples, len(source)), seed)
    batches = Batches(source, adapter, plan, skip_bad=training.on_bad_sample == "skip")
    found = [batches[step] for step in range(plan.steps)]
    for batch in found:
        if batch.error is not None:
            raise batch.error
    return [batch.packed for batch in found if batch.packed is not None]


def _held_out(
    source: Source, adapter: Adapter, training: Resolved, seed: int, samples: int
) -> list[Packed]:
    """Validation batches, the same masks every time."""
    skip_bad = training.on_bad_sample == "skip"
    indices = chosen(source, adapter, samples, skip_bad)
    return [
        read_batch(source, adapter, indices[start : start + 64], seed, "held-out")
        for start in range(0, len(indices), 64)
    ]


def some_samples(source: Source, adapter: Adapter, skip_bad: bool) -> list[Any]:
    """Eight raw samples for pictures (or as many as there are)."""
    return [source[i] for i in chosen(source, adapter, 8, skip_bad)]


def chosen(source: Source, adapter: Adapter, limit: int, skip_bad: bool) -> list[int]:
    """At most ``limit`` evenly spaced indices, of good samples only with ``skip_bad``."""
    indices = spread(len(source), limit)
    return readable(source, adapter, indices) if skip_bad else indices
