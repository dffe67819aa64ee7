"""What a run would take: measured over a few of its own steps, in a folder that is thrown away."""

from __future__ import annotations

import inspect
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anymae.config import refuse_both
from anymae.memory import peak_memory
from anymae.report.formats import duration
from anymae.training.arguments import refuse_unknown
from anymae.training.checkpoint import Checkpoints
from anymae.training.distributed import World, join
from anymae.training.preparing import prepare
from anymae.training.pretrain import pretrain
from anymae.training.setup import Setup
from anymae.training.signals import StopFlag
from anymae.training.trainer import Trainer

WARM_UP, TRIES = 2, 5
"""Steps that are not timed, and steps that are."""


@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run on this machine, as it is loaded now.

    ``compute`` and ``prepare`` are the seconds that a step takes to train on, and to get ready by
    one process, ``workers`` the loader processes that share the latter; ``memory`` and
    ``checkpoint`` are bytes.
    """

    samples: int
    steps: int
    batch_size: int
    parameters: int
    compute: float
    prepare: float
    workers: int
    memory: int
    checkpoint: int
    device: str
    precision: str

    @property
    def step_seconds(self) -> float:
        """Seconds from step to step; loader processes work while the model does."""
        if not self.workers:
            return self.compute + self.prepare
        return max(self.compute, self.prepare / self.workers)

    @property
    def seconds(self) -> float:
        """Of all steps; validation and checkpoints come on top."""
        return self.steps * self.step_seconds

    def __str__(self) -> str:
        return (
            f"{self.steps:,} steps of {self.batch_size} of {self.samples:,} samples, "
            f"{self.parameters / 1e6:.1f} M parameters, {self.precision} on {self.device}: about "
            f"{duration(self.seconds)} ({self.step_seconds:.3g} s a step; {self.compute:.3g} s to "
            f"train, {self.prepare:.3g} s to prepare data, by {self.workers or 'no'} loader "
            f"processes), {self.memory / 2**20:,.0f} MiB of memory, "
            f"{self.checkpoint / 2**20:,.0f} MiB a checkpoint"
        )


def estimate(*arguments: Any, **settings: Any) -> Estimate:
    """What ``pretrain`` with these arguments would take, measured over a few steps on the data
    themselves; nothing is written that stays. Raises what ``pretrain`` raises.

    Memory is the peak of this process (resident, or allocated on a GPU), loader processes not
    counted; time is that of the machine as it is loaded now.
    """
    bound = inspect.signature(pretrain).bind(*arguments, **settings)
    bound.apply_defaults()
    asked = dict(bound.arguments)
    refuse_unknown(asked["overrides"], inspect.signature(pretrain).parameters)
    own = ("steps", "epochs", "batch_size", "batch_tokens", "lr")
    given = {name: asked.pop(name) for name in own}
    refuse_both(steps=given["steps"], epochs=given["epochs"])
    refuse_both(batch_size=given["batch_size"], batch_tokens=given["batch_tokens"])
    world = join(asked.pop("device"))
    strategy = asked.pop("strategy")
    for name in ("out", "resume", "devices", "nodes"):
        del asked[name]
    with tempfile.TemporaryDirectory() as folder:
        setup = prepare(**asked, given=given, world=world).set_up(world, Path(folder), strategy)
        return measured(setup)


def measured(setup: Setup) -> Estimate:
    """Time a few steps of a run."""
    trainer = Trainer(setup, Checkpoints(setup.folder / "checkpoints", 1, lambda text: None))
    model, training = trainer.model, setup.training
    workers, trainer.waiting.workers = trainer.waiting.workers, 0
    prepare, compute = [], []
    with StopFlag() as stop, closing(trainer.batches()) as batches:
        model.train()
        for _ in range(min(WARM_UP + TRIES, trainer.plan.steps)):
            start = time.perf_counter()
            batch = next(batches)
            ready = time.perf_counter()
            trainer.step(batch, stop)
            _finish(setup.world)
            prepare.append(ready - start)
            compute.append(time.perf_counter() - ready)
    timed = slice(min(WARM_UP, len(compute) - 1), None)
    parameters = sum(p.numel() for p in model.parameters())
    kept = sum(t.nbytes for t in model.state_dict().values())
    moments = 8 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Estimate(
        samples=len(setup.source),
        steps=trainer.plan.steps,
        batch_size=training.batch_size,
        parameters=parameters,
        compute=statistics.median(compute[timed]),
        prepare=statistics.median(prepare[timed]),
        workers=workers,
        memory=peak_memory(setup.world.device),
        checkpoint=kept * (2 if training.ema else 1) + moments,
        device=str(setup.world.device),
        precision=setup.precision,
    )


def _finish(world: World) -> None:
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)
