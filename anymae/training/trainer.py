"""The one training loop, for every modality and recipe.

A step is a function of its number: its samples, augmentations and masks are drawn from (seed,
epoch, sample), never from state, so a run that is stopped and continued is the run that was not.
The loss of a step is its sum over asked tokens divided by their count, over all micro-batches and
processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from anymae.data.batches import Batch, Batches, micro_batches
from anymae.data.loader import default_workers, load
from anymae.data.plan import Plan
from anymae.errors import AnyMAEError, Interrupted
from anymae.masks import Roles
from anymae.precision import autocast
from anymae.tokens import Packed
from anymae.training.bad_samples import note_bad
from anymae.training.bad_steps import record
from anymae.training.checkpoint import Checkpoints
from anymae.training.determinism import repeatable
from anymae.training.guards import diverged, fault, remember
from anymae.training.held_out import held_out_loss
from anymae.training.history import write_history
from anymae.training.keeping import Keeper
from anymae.training.optim import rate
from anymae.training.progress import ProgressLine
from anymae.training.scaling import first_scale, overflowed, try_more
from anymae.training.setup import Progress, Setup
from anymae.training.signals import StopFlag
from anymae.training.trained import Trained
from anymae.training.waiting import Waiting
from anymae.views import in_views


@dataclass(frozen=True)
class Part:
    """A micro-batch with its masks; ``weight`` 0 keeps a spare one out of every sum."""

    packed: Packed
    roles: Roles
    weight: float


class Trainer:
    """Trains ``setup.model`` in place; ``checkpoints`` hold everything needed to go on."""

    def __init__(self, setup: Setup, checkpoints: Checkpoints) -> None:
        self.setup, self.checkpoints = setup, checkpoints
        self.config, self.world = setup.training, setup.world
        self.model = setup.model
        self.trained = Trained(setup.model, self.config, self.world, setup.strategy)
        self.keeper = Keeper(self.trained, checkpoints, self.world)
        samples = len(setup.source)
        total = self.config.total_draws(samples)
        self.plan = Plan(samples, self.config.batch_size, total, setup.seed)
        self.progress = Progress(scale=first_scale(setup.precision))
        workers = self.config.workers
        workers = default_workers(samples) if workers is None else workers
        self.waiting = Waiting(workers, checkpoints.warn)
        self._mark = (time.perf_counter(), 0.0, 0.0)

    # -- the loop --------------------------------------------------------------------------

    def train(self) -> list[dict[str, Any]]:
        """Run to the end and return the history. Raises ``Interrupted``, ``Diverged``,
        ``CheckpointError`` and what bad data raises; if it stops because of a signal or bad data,
        after a checkpoint of the last finished step."""
        steps, progress = self.plan.steps, self.progress
        with (
            StopFlag() as stop,
            ProgressLine(steps, progress.step, self.world.leads) as line,
            repeatable(self.world.device),
            closing(self.batches()) as prepared,
        ):
            batches = self.waiting.watched(prepared)
            self.model.train()
            self._mark = (time.perf_counter(), 0.0, 0.0)
            while progress.looked < steps:
                asked_to_stop = False
                if progress.looked == progress.step:
                    asked_to_stop = self.step(next(batches), stop)
                self._look(line, stop)
                if asked_to_stop and progress.step < steps:
                    raise self._interrupted()
        return progress.history

    def batches(self) -> Generator[Batch, None, None]:
        """This process's batches of the steps to come."""
        batches = Batches(
            self.setup.source,
            self.model.adapter,
            self.plan,
            rank=self.world.rank,
            world=self.world.size,
            skip_bad=self.config.on_bad_sample == "skip",
        )
        pin = self.world.device.type == "cuda"
        return load(batches, self.progress.step, self.waiting.workers, pin)

    def step(self, batch: Batch, stop: StopFlag) -> bool:
        """One optimiser step on one global batch; True if any process was asked to stop."""
        parts = self.parts(batch)
        tokens, samples, stops, errors, bad, count, *also = self.world.sum(
            sum(part.weight * part.packed.segments.total for part in parts),
            sum(part.weight * len(part.packed) for part in parts),
            stop.asked,
            batch.error is not None,
            len(batch.bad),
            *self.counts(parts),
        )
        if errors or bad:
            self._refuse_bad(batch, all_bad=not samples)
        if count:
            loss, observed = self.backward(parts, count, also)
            self._update(loss, count, observed)
        self.progress.step += 1
        self._mark = (self._mark[0], self._mark[1] + tokens, self._mark[2] + samples)
        return stops > 0

    def parts(self, batch: Batch) -> list[Part]:
        """This process's micro-batches with their masks. One that has no good sample, or less
        micro-batches than others where all must compute together, takes a spare sample that does
        not count."""
        setup, recipe = self.setup, self.model.recipe
        found: list[tuple[Packed, float]] = []
        if batch.packed is not None:
            packed = batch.packed.to(self.world.device)
            tokens = self.config.micro_tokens // recipe.views
            found = [(one, 1.0) for one in micro_batches(packed, tokens)]
        wanted = max(1, len(found))
        if self.trained.sharded:
            wanted = int(self.world.max(wanted)[0])
        found += [(setup.spare.to(self.world.device), 0.0)] * (wanted - len(found))
        self.model.done = self.progress.updates / self.plan.steps
        views = recipe.views
        return [
            Part(packed, recipe.mask.draw(in_views(packed, views), self.model), weight)
            for packed, weight in found
        ]

    def _refuse_bad(self, batch: Batch, *, all_bad: bool) -> None:
        progress = self.progress
        drawn = self.plan.batch * (progress.step + 1)
        try:
            self.world.agree(batch.error)
            progress.bad = note_bad(self.setup, progress.bad, batch.bad, drawn, all_bad=all_bad)
        except AnyMAEError:
            self._save()
            raise

    def counts(self, parts: list[Part]) -> list[float]:
        """How many tokens the main goal and each further one ask about."""
        found = [sum(part.weight * part.roles.of_ask.total for part in parts)]
        for goal in self.model.recipe.also:
            found.append(sum(p.weight * p.roles.in_scope(goal.scope)[1].total for p in parts))
        return found

    def backward(
        self, parts: list[Part], count: float, also: Sequence[float]
    ) -> tuple[float, dict[int, Tensor]]:
        """Gradients of the step's mean loss over ``count`` asked tokens, and of further goals over
        theirs (``also``); returns the main goal's loss, and what this process ``observed``."""
        total: Tensor | float = 0.0
        observed: dict[int, Tensor] = {}
        views, scale = self.model.recipe.views, self.progress.scale
        for i, part in enumerate(parts):
            with self.trained.gathering(last=i == len(parts) - 1):
                with autocast(self.world.device, self.setup.precision):
                    output = self.trained.module(in_views(part.packed, views), part.roles)
                loss = output.loss / count
                for term, of in zip(output.also, also, strict=True):
                    loss = loss + term.sum * (term.weight / max(of, 1))
                # Processes average gradients, so their number is multiplied back.
                (loss * (part.weight * self.world.size * scale)).backward()
            total = total + part.weight * output.loss.detach().double()
            for number, seen in output.observed.items():
                observed[number] = observed.get(number, 0.0) + part.weight * seen
        self.trained.gather()
        if scale != 1:
            self.trained.scale(1 / scale)
        return self.world.sum(float(total))[0] / count, observed

    def _update(self, loss: float, count: float, observed: Mapping[int, Tensor]) -> None:
        """Move the weights, and what targets learn from what was ``observed``, unless the step is
        bad: then nothing but counters change."""
        config, progress = self.config, self.progress
        norm = self.trained.norm()
        progress.norm = norm if math.isfinite(norm) else None
        if overflowed(progress, loss, norm):
            self.trained.optimiser.zero_grad()
            return
        what = fault(progress, config, self.setup.trivial.best, loss, norm)
        if what is not None:
            self.trained.optimiser.zero_grad()
            self._pass_over(what, loss, norm)
            return
        remember(progress, loss, norm)
        try_more(progress)
        if config.clip is not None and norm > config.clip:
            self.trained.scale(config.clip / norm)
        progress.rate = rate(config, config.lr, (progress.updates + 0.5) / self.plan.steps)
        self.trained.move(progress.rate)
        before = progress.updates / self.plan.steps
        progress.updates += 1
        if self.model.teacher is not None:
            done = progress.updates / self.plan.steps
            self.model.recipe.teacher.follow(self.model.teacher, self.model, done, before)
        self.model.learn({number: self.world.total(seen) for number, seen in observed.items()})
        if self.trained.average:
            self.trained.average.update(self.model, progress.updates)
        progress.window_loss += loss * count
        progress.window_count += count

    # -- bad steps -------------------------------------------------------------------------

    def _pass_over(self, what: str, loss: float, norm: float) -> None:
        """Count and keep a bad step; go back if there were too many in a row."""
        progress = self.progress
        progress.bad_in_a_row += 1
        progress.bad_steps += 1
        with self.world.together():
            if self.world.leads:
                pairs = self.plan.draw(progress.step)
                record(self.setup, progress, pairs, what=what, loss=loss, norm=norm)
        if progress.bad_in_a_row >= self.config.bad_steps:
            self._go_back(what)

    def _go_back(self, what: str) -> None:
        """Take the weights of the checkpoint before the bad steps; their samples do not return."""
        progress = self.progress
        older = None
        if progress.checkpoint and progress.rollbacks < self.config.rollbacks:
            older = self.keeper.load(upto=progress.checkpoint)
        if older is None:
            raise diverged(progress, self.config, what)
        self.checkpoints.warn(
            f"step {progress.step + 1}: {progress.bad_in_a_row} bad steps in a row, the last with "
            f"{what}; going on with the weights of step {older.step}"
        )
        progress.back_to(older)

    # -- looking and keeping ---------------------------------------------------------------

    def _look(self, line: ProgressLine, stop: StopFlag) -> None:
        """Log, validate and checkpoint when it is time."""
        config, progress, step = self.config, self.progress, self.progress.step
        last = step == self.plan.steps
        validates = bool(self.setup.held_out) and (last or step % config.validate_every == 0)
        if last or validates or step % config.log_every == 0:
            found = self._validate(stop) if validates else {}
            row = {k: v for k, v in (self._row() | found).items() if math.isfinite(v)}
            progress.history.append(row)
            self._mark = (time.perf_counter(), 0.0, 0.0)
            with self.world.together():
                if self.world.leads:
                    write_history(self.setup.folder / "history.csv", progress.history)
            line.show(row)
        progress.looked = step
        if last or step % config.checkpoint_every == 0:
            if not progress.bad_in_a_row:
                progress.checkpoint = step
            self._save()

    def _row(self) -> dict[str, Any]:
        progress = self.progress
        since, tokens, samples = self._mark
        seconds = time.perf_counter() - since
        progress.seconds += seconds
        loss = progress.window_loss / progress.window_count if progress.window_count else math.nan
        progress.window_loss = progress.window_count = 0.0
        return {
            "step": progress.step,
            "epoch": progress.step * self.plan.batch / self.plan.samples,
            "loss": loss,
            "explained_variance": self.setup.trivial.explained(loss),
            "lr": progress.rate,
            "grad_norm": math.nan if progress.norm is None else progress.norm,
            "tokens_per_second": tokens / seconds,
            "samples_per_second": samples / seconds,
            "waiting": self.waiting.share(),
            "skipped_steps": progress.step - progress.updates,
            "bad_samples": len(progress.bad),
            "seconds": progress.seconds,
        }

    def _validate(self, stop: StopFlag) -> dict[str, float]:
        loss = held_out_loss(self.setup, stop)
        if loss is None:  # asked to stop: this step will be looked at when the run goes on
            raise self._interrupted()
        row = {"validation_loss": loss}
        if self.setup.trivial_held_out is not None:
            row["validation_explained_variance"] = self.setup.trivial_held_out.explained(loss)
        return row

    def _interrupted(self) -> Interrupted:
        self._save()
        return Interrupted(
            f"stopped after step {self.progress.step} of {self.plan.steps}, checkpoint written",
            hint=f"Continue with: anymae resume {self.setup.folder}",
        )

    def _save(self) -> None:
        """A checkpoint of the last finished step, by the leading process. Raises ``Diverged``
        rather than write weights that are not finite."""
        progress = self.progress
        if not progress.step:
            return
        if not self.trained.sound():
            raise diverged(progress, self.config, "weights that are not finite")
        self.keeper.save(progress)

    def restore(self) -> bool:
        """Continue from the newest sound checkpoint; False if there is none. Raises
        ``CheckpointError``."""
        progress = self.keeper.load()
        if progress is None:
            return False
        self.progress = progress
        return True
