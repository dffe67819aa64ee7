"""Bad steps, kept so that they can be looked into: ``bad_steps/`` in the run folder.

A small JSON file a step says which samples it had; the checkpoint before it is kept beside them,
as links to the same files, so that ``anymae replay`` can compute the step again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from anymae.config import validated
from anymae.data.sources import Source
from anymae.storage import FORMAT, cannot_write, read_json, write_json
from anymae.training.checkpoint import name_of
from anymae.training.setup import Progress, Setup

RECORDS = 100
"""Bad steps of a run that are written down; further ones are only counted."""
CHECKPOINTS = 3
"""Checkpoints that are kept for them."""


class Drawn(BaseModel):
    """One sample of a step: its place in the plan and in the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    index: int
    where: str


def named(source: Source, pairs: Iterable[tuple[int, int]]) -> list[Drawn]:
    """What (epoch, sample index) pairs are in the data."""
    return [Drawn(epoch=epoch, index=i, where=source.where(i)) for epoch, i in pairs]


class BadStep(BaseModel):
    """What was wrong with a step, and all that is needed to compute it again. ``checkpoint`` is the
    step of the checkpoint before it, 0 for none: the run's beginning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    step: int
    fault: str
    loss: str
    grad_norm: str
    seed: int
    processes: int
    checkpoint: int
    samples: list[Drawn]


def folder_of(run: Path) -> Path:
    """Where bad steps of a run are kept."""
    return run / "bad_steps"


def record(
    setup: Setup,
    progress: Progress,
    pairs: Iterable[tuple[int, int]],
    *,
    what: str,
    loss: float,
    norm: float,
) -> None:
    """Write down the step after ``progress``, of the samples ``pairs``, and keep the checkpoint
    before it if it is the first of a row. Raises ``CheckpointError``."""
    if progress.bad_steps > RECORDS:
        return
    bad = BadStep(
        step=progress.step + 1,
        fault=what,
        loss=str(loss),
        grad_norm=str(norm),
        seed=setup.seed,
        processes=setup.world.size,
        checkpoint=progress.checkpoint,
        samples=named(setup.source, pairs),
    )
    folder = folder_of(setup.folder)
    try:
        folder.mkdir(exist_ok=True)
        if bad.checkpoint and progress.bad_in_a_row == 1:
            before = setup.folder / "checkpoints" / name_of(bad.checkpoint)
            _keep(before, folder / "checkpoints")
    except OSError as error:
        raise cannot_write(folder, error) from None
    write_json(folder / f"{name_of(bad.step)}.json", bad)


def _keep(checkpoint: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    final = folder / checkpoint.name
    if final.exists() or not checkpoint.exists() or len(list(folder.iterdir())) >= CHECKPOINTS:
        return
    scratch = folder / f".tmp-{checkpoint.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(checkpoint, scratch, copy_function=_link)
    scratch.rename(final)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy(source, target)


def read_bad_step(run: Path, step: int | None) -> BadStep | None:
    """The record of a step (None: the newest), or None if there is none. Raises
    ``CheckpointError``, ``BadConfig``."""
    names = sorted(p.name for p in folder_of(run).glob("step-*.json"))
    name = f"{name_of(step)}.json" if step is not None else next(reversed(names), None)
    if name not in names:
        return None
    path = folder_of(run) / str(name)
    return validated(BadStep, read_json(path), str(path))
