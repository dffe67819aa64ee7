"""Replay: compute a step of a run again, to see what it was made of.

The step's weights are those of the newest checkpoint before it after the steps between, which are
computed again as well; nothing is written to the run folder.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anymae.data.batches import Batch
from anymae.errors import BadConfig
from anymae.training.bad_steps import BadStep, Drawn, folder_of, named, read_bad_step
from anymae.training.checkpoint import Checkpoints, name_of
from anymae.training.determinism import repeatable
from anymae.training.distributed import join
from anymae.training.guards import fault
from anymae.training.preparing import prepare
from anymae.training.progress import notice
from anymae.training.run import read_run_config
from anymae.training.signals import StopFlag
from anymae.training.trainer import Trainer

SHOWN = 10
"""Samples and parameters that are printed."""


@dataclass(frozen=True)
class Share:
    """One sample of a step: its mean loss per asked token, and the norm of its gradient in the
    step's."""

    sample: Drawn
    loss: float
    grad_norm: float


@dataclass(frozen=True)
class Replay:
    """A step computed again: ``fault`` is what is wrong with it (None: nothing), ``parts`` its
    samples, the largest gradient first, ``parameters`` those whose gradients are not finite.
    ``recorded`` is what the run itself wrote down, if it took the step for a bad one."""

    step: int
    start: int
    loss: float
    grad_norm: float
    fault: str | None
    parts: list[Share]
    parameters: list[str]
    recorded: BadStep | None

    def __str__(self) -> str:
        start = f"the checkpoint of step {self.start}" if self.start else "the beginning"
        lines = [f"step {self.step}, computed again from {start}"]
        if self.recorded is not None:
            then = f"loss {self.recorded.loss}, gradient norm {self.recorded.grad_norm}"
            lines.append(f"then  {then}: bad, {self.recorded.fault}")
        verdict = f"bad, {self.fault}" if self.fault else "good"
        lines.append(f"now   loss {self.loss}, gradient norm {self.grad_norm}: {verdict}")
        if self.parameters:
            more = ", ..." if len(self.parameters) > SHOWN else ""
            names = ", ".join(self.parameters[:SHOWN])
            lines.append(f"gradients that are not finite: {len(self.parameters)}, {names}{more}")
        lines.append(f"{len(self.parts)} samples, the largest gradient first:")
        lines += [
            f"  loss {part.loss:<12.6g} gradient norm {part.grad_norm:<12.6g} "
            f"{part.sample.where} (epoch {part.sample.epoch})"
            for part in self.parts[:SHOWN]
        ]
        return "\n".join(lines)


def replay(
    run: str | Path, dataset: Any = None, step: int | None = None, *, device: str = "auto"
) -> Replay:
    """Compute a step of the run in folder ``run`` again: the newest bad one, or any that is not
    older than its checkpoints. ``dataset`` is needed where the run's was not a path.

    In one process; a run of several adds the same numbers in another order. Raises ``BadConfig``,
    ``CheckpointError`` and what bad data raises.
    """
    folder = Path(run)
    config = read_run_config(folder)
    recorded = read_bad_step(folder, step)
    if step is None:
        if recorded is None:
            raise BadConfig("no step of this run was bad", where=folder, hint="Name a step.")
        step = recorded.step
    world = join(device)
    if world.size > 1:
        raise BadConfig("a step is replayed in one process", found=f"{world.size} processes")
    # Only a fraction held out decides what is trained on.
    held_out = config.validation if isinstance(config.validation, float) else None
    config = config.model_copy(update={"validation": held_out})
    if dataset is None and config.data_path is None:
        raise BadConfig(
            "this run was not started from a path, so its data cannot be found again",
            where=folder,
            hint=f"Give them: anymae replay {folder} --data DATA",
        )
    data = config.data_path if dataset is None else dataset
    prepared = prepare(data, world=world, **config.arguments())
    config.refuse_difference(prepared.config, folder)
    with TemporaryDirectory() as place:
        scratch = Path(place)
        start = _start(folder, scratch / "checkpoints", step)
        setup = replace(prepared.set_up(world, scratch), held_out=[])
        trainer = Trainer(setup, Checkpoints(scratch / "checkpoints", 1, notice))
        if not 0 < step <= trainer.plan.steps:
            raise BadConfig("no such step", found=step, expected=f"1 to {trainer.plan.steps}")
        trainer.restore()
        with repeatable(world.device):
            return _replayed(trainer, step, start, recorded)


def _start(run: Path, scratch: Path, step: int) -> int:
    """Show the newest checkpoint before ``step`` in a folder of its own; returns its step."""
    places: dict[int, Path] = {}
    for folder in (folder_of(run) / "checkpoints", run / "checkpoints"):
        places |= {s: folder for s in Checkpoints(folder, 1, notice).steps() if s < step}
    scratch.mkdir()
    if not places:
        return 0
    newest = max(places)
    (scratch / name_of(newest)).symlink_to((places[newest] / name_of(newest)).absolute())
    return newest


def _replayed(trainer: Trainer, step: int, start: int, recorded: BadStep | None) -> Replay:
    trainer.model.train()
    with closing(trainer.batches()) as batches:
        while trainer.progress.step < step - 1:
            trainer.step(next(batches), StopFlag())
        batch = next(batches)
    if batch.error is not None:
        raise batch.error
    parts = trainer.parts(batch)
    count, *also = trainer.counts(parts)
    loss = trainer.backward(parts, count, also)[0]
    norm, gradients = trainer.trained.norm(), trainer.trained.gradients()
    broken = [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())]
    trivial = trainer.setup.trivial.best
    what = fault(trainer.progress, trainer.config, trivial, loss, norm)
    each = _each(trainer, batch, count, also)
    return Replay(step, start, loss, norm, what, each, broken, recorded)


def _each(trainer: Trainer, batch: Batch, count: float, also: list[float]) -> list[Share]:
    """The batch's samples one by one."""
    found: list[Share] = []
    if batch.packed is None:
        return found
    for i, sample in enumerate(named(trainer.setup.source, batch.drawn)):
        trainer.trained.optimiser.zero_grad()
        parts = trainer.parts(Batch(batch.packed.slice(i, i + 1)))
        own = trainer.counts(parts)[0]
        share = trainer.backward(parts, count, also)[0]
        found.append(Share(sample, share * count / max(own, 1), trainer.trained.norm()))
    trainer.trained.optimiser.zero_grad()
    return sorted(found, key=lambda part: -_rank(part.grad_norm))


def _rank(number: float) -> float:
    return number if math.isfinite(number) else math.inf
