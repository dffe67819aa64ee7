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
from typing import Any

import torch
from torch import Tensor

from anymae.data.batches import Batch, Batches, micro_batches
from anymae.data.loader import default_workers, load
from anymae.data.plan import Plan
from anymae.errors import AnyMAEError, Diverged, Interrupted
from anymae.masks import Roles
from anymae.model import Model
from anymae.precision import autocast
from anymae.storage import shapes_of
from anymae.tokens import Packed
from anymae.training.bad_samples import note_bad
from anymae.training.checkpoint import Checkpoints, Snapshot
from anymae.training.history import write_history
from anymae.training.optim import Average, adamw, optimiser_tensors, rate, restore_optimiser
from anymae.training.progress import ProgressLine
from anymae.training.setup import Progress, Setup
from anymae.training.signals import StopFlag
from anymae.views import in_views

HOPELESS = 1000.0
"""A loss this many times the trivial one counts as a bad step."""


class Trainer:
    """Trains ``setup.model`` in place; ``checkpoints`` hold everything needed to go on."""

    def __init__(self, setup: Setup, checkpoints: Checkpoints) -> None:
        self.setup, self.checkpoints = setup, checkpoints
        self.config, self.world = setup.training, setup.world
        self.model = setup.model.to(self.world.device)
        self.wrapped = self.world.wrap(self.model)
        self.optimiser = adamw(self.model, self.config)
        self.average = Average(self.model, self.config.ema) if self.config.ema else None
        samples = len(setup.source)
        total = self.config.total_draws(samples)
        self.plan = Plan(samples, self.config.batch_size, total, setup.seed)
        self.progress = Progress()
        self._rate = self._norm = 0.0  # of the last good step, and the last step, for the history

    # -- the loop --------------------------------------------------------------------------

    def train(self) -> list[dict[str, Any]]:
        """Run to the end and return the history. Raises ``Interrupted``, ``Diverged`` and what
        bad data raises, each after a checkpoint of the last finished step."""
        steps, progress = self.plan.steps, self.progress
        with StopFlag() as stop, ProgressLine(steps, progress.step, self.world.leads) as line:
            self.model.train()
            batches = self._batches()
            self._mark = (time.perf_counter(), 0.0, 0.0)
            try:
                while progress.step < steps:
                    asked_to_stop = self._step(next(batches), stop)
                    progress.step += 1
                    self._look(line)
                    if asked_to_stop and progress.step < steps:
                        raise Interrupted(
                            f"stopped after step {progress.step} of {steps}, checkpoint written",
                            hint=f"Continue with: anymae resume {self.setup.folder}",
                        )
            except AnyMAEError as error:
                if not isinstance(error, Diverged):
                    self._save()
                raise
            finally:
                batches.close()
        return progress.history

    def _batches(self) -> Generator[Batch, None, None]:
        config = self.config
        workers = config.workers
        if workers is None:
            workers = default_workers(len(self.setup.source))
        batches = Batches(
            self.setup.source,
            self.model.adapter,
            self.plan,
            rank=self.world.rank,
            world=self.world.size,
            skip_bad=config.on_bad_sample == "skip",
        )
        return load(batches, self.progress.step, workers, pin=self.world.device.type == "cuda")

    def _step(self, batch: Batch, stop: StopFlag) -> bool:
        """One optimiser step on one global batch; True if any process was asked to stop."""
        if batch.error is not None:
            raise batch.error
        packed = self.setup.spare if batch.packed is None else batch.packed
        weight = 0.0 if batch.packed is None else 1.0
        views = self.model.recipe.views
        micro = micro_batches(packed.to(self.world.device), self.config.micro_tokens // views)
        self.model.done = self.progress.updates / self.plan.steps
        mask = self.model.recipe.mask
        parts = [(p, mask.draw(in_views(p, views), self.model)) for p in micro]
        tokens, samples, stops, bad, count, *also = self.world.sum(
            weight * packed.segments.total,
            weight * len(packed),
            stop.asked,
            len(batch.bad),
            *(weight * number for number in self._counts(parts)),
        )
        if bad:
            drawn = self.plan.batch * (self.progress.step + 1)
            note_bad(self.setup, self.progress.bad, batch.bad, drawn, all_bad=not samples)
        if count:
            loss, observed = self._backward(parts, weight, count, also)
            self._update(loss, count, observed)
        self._mark = (self._mark[0], self._mark[1] + tokens, self._mark[2] + samples)
        return stops > 0

    def _counts(self, parts: list[tuple[Packed, Roles]]) -> list[int]:
        """How many tokens the main goal and each further one ask about."""
        found = [sum(roles.of_ask.total for _, roles in parts)]
        for goal in self.model.recipe.also:
            cut = [roles.in_scope(goal.scope)[1] for _, roles in parts]
            found.append(sum(segments.total for segments in cut))
        return found

    def _backward(
        self,
        parts: list[tuple[Packed, Roles]],
        weight: float,
        count: float,
        also: Sequence[float],
    ) -> tuple[float, dict[int, Tensor]]:
        """Gradients of the step's mean loss over ``count`` asked tokens, and of further goals over
        theirs (``also``); returns the main goal's loss, and what this process ``observed``."""
        total: Tensor | float = 0.0
        observed: dict[int, Tensor] = {}
        for i, (packed, roles) in enumerate(parts):
            with self.world.gathering(self.wrapped, last=i == len(parts) - 1):
                with autocast(self.world.device, self.setup.precision):
                    output = self.wrapped(in_views(packed, self.model.recipe.views), roles)
                loss = output.loss / count
                for term, of in zip(output.also, also, strict=True):
                    loss = loss + term.sum * (term.weight / max(of, 1))
                # Processes average gradients, so their number is multiplied back.
                (loss * (weight * self.world.size)).backward()
            total = total + weight * output.loss.detach().double()
            for number, seen in output.observed.items():
                observed[number] = observed.get(number, 0.0) + weight * seen
        return self.world.sum(float(total))[0] / count, observed

    def _update(self, loss: float, count: float, observed: Mapping[int, Tensor]) -> None:
        """Move the weights, and what targets learn from what was ``observed``, unless the step is
        bad: then nothing but a counter changes."""
        config, progress = self.config, self.progress
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self._norm = norm = float(torch.nn.utils.get_total_norm(gradients))
        hopeless = loss > HOPELESS * max(self.setup.trivial.best, 1e-12)
        if not (math.isfinite(loss) and math.isfinite(norm)) or hopeless:
            progress.bad_in_a_row += 1
            self.optimiser.zero_grad()
            self._refuse_divergence(loss, norm)
            return
        progress.bad_in_a_row = 0
        if config.clip is not None and norm > config.clip:
            torch._foreach_mul_(gradients, config.clip / norm)
        self._rate = rate(config, config.lr, (progress.updates + 0.5) / self.plan.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate
        self.optimiser.step()
        self.optimiser.zero_grad()
        before = progress.updates / self.plan.steps
        progress.updates += 1
        if self.model.teacher is not None:
            done = progress.updates / self.plan.steps
            self.model.recipe.teacher.follow(self.model.teacher, self.model, done, before)
        self.model.learn({number: self.world.total(seen) for number, seen in observed.items()})
        if self.average:
            self.average.update(self.model, progress.updates)
        progress.window_loss += loss * count
        progress.window_count += count

    def _refuse_divergence(self, loss: float, norm: float) -> None:
        if self.progress.bad_in_a_row >= self.config.bad_steps:
            raise Diverged(
                f"training diverged: {self.config.bad_steps} bad steps in a row",
                where=f"step {self.progress.step + 1}",
                found=f"loss {loss:.4g}, gradient norm {norm:.4g}",
                hint=f"Try a lower lr (it was {self.config.lr:.3g}), training.clip=1 or "
                "precision=fp32; the newest checkpoint is sound.",
            )

    # -- looking and keeping ---------------------------------------------------------------

    def _look(self, line: ProgressLine) -> None:
        """Log, validate and checkpoint when it is time."""
        config, step = self.config, self.progress.step
        last = step == self.plan.steps
        validates = bool(self.setup.held_out) and (last or step % config.validate_every == 0)
        if last or validates or step % config.log_every == 0:
            row = self._row()
            if validates:
                row |= self._validate()
            row = {k: v for k, v in row.items() if math.isfinite(v)}
            self.progress.history.append(row)
            self._mark = (time.perf_counter(), 0.0, 0.0)
            if self.world.leads:
                write_history(self.setup.folder / "history.csv", self.progress.history)
            line.show(row)
        if last or step % config.checkpoint_every == 0:
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
            "lr": self._rate,
            "grad_norm": self._norm,
            "tokens_per_second": tokens / seconds,
            "samples_per_second": samples / seconds,
            "skipped_steps": progress.step - progress.updates,
            "bad_samples": len(progress.bad),
            "seconds": progress.seconds,
        }

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Masked loss of the held-out samples, with masks that are the same every time."""
        self.model.eval()
        total = count = 0.0
        mine = self.setup.held_out[self.world.rank :: self.world.size]
        for packed in (p.to(self.world.device) for p in mine):
            roles = self.model.recipe.mask.draw(packed, self.model)
            with autocast(self.world.device, self.setup.precision):
                output = self.model(packed, roles)
            total += float(output.loss)
            count += output.count
        self.model.train()
        total, count = self.world.sum(total, count)
        loss = total / max(count, 1)
        row = {"validation_loss": loss}
        if self.setup.trivial_held_out is not None:
            row["validation_explained_variance"] = self.setup.trivial_held_out.explained(loss)
        return row

    def _save(self) -> None:
        """A checkpoint of the last finished step, by the leading process."""
        if self.world.leads and self.progress.step:
            tensors = {
                "model": self.model.state_dict(),
                "optimiser": optimiser_tensors(self.optimiser, self.model),
            }
            if self.average:
                tensors["average"] = self.average.tensors
            self.checkpoints.save(Snapshot(self.progress.step, tensors, vars(self.progress)))
        self.world.barrier()

    def restore(self) -> bool:
        """Continue from the newest sound checkpoint; False if there is none."""
        weights = shapes_of(self.model.state_dict())
        moments = optimiser_tensors(self.optimiser, self.model)
        wanted = {
            "model": weights,
            "optimiser": shapes_of(moments),
        }
        if self.average:
            wanted["average"] = weights
        snapshot = self.checkpoints.newest(wanted)
        if snapshot is None:
            return False
        self.progress = Progress(**snapshot.state)
        self.model.load_state_dict(dict(snapshot.tensors["model"]))
        restore_optimiser(self.optimiser, self.model, snapshot.tensors["optimiser"])
        if self.average:
            self.average.tensors = {
                n: t.to(self.world.device) for n, t in snapshot.tensors["average"].items()
            }
        return True

    def finished_model(self) -> Model:
        """The trained model on the CPU in eval mode: the average's weights, if there is one."""
        if self.average:
            self.model.load_state_dict(self.average.tensors)
        self.model.teacher = None
        return self.model.cpu().eval()
