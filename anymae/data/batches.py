"""Batches: the packed batch of a step, made from nothing but the step's number.

A bad sample is returned as an error, not raised: exceptions lose their type and their fields on
the way out of a loader's worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from anymae import draws
from anymae.adapter import Adapter
from anymae.data.plan import Plan, share
from anymae.data.sources import Source
from anymae.errors import AnyMAEError, BadInput
from anymae.tokens import Packed


@dataclass(frozen=True)
class Batch:
    """One rank's part of a step: ``packed`` is None if it has no (good) sample, ``drawn`` are the
    (epoch, sample index) pairs of its samples. ``bad`` are the errors of skipped samples; ``error``
    ends the run."""

    packed: Packed | None
    drawn: list[tuple[int, int]] = field(default_factory=list)
    bad: list[AnyMAEError] = field(default_factory=list)
    error: AnyMAEError | None = None


class Batches(Dataset[Batch]):
    """``self[step]`` is the rank's batch of that step of the plan."""

    def __init__(
        self,
        source: Source,
        adapter: Adapter,
        plan: Plan,
        *,
        rank: int = 0,
        world: int = 1,
        skip_bad: bool = False,
    ) -> None:
        self.source, self.adapter, self.plan = source, adapter, plan
        self.rank, self.world, self.skip_bad = rank, world, skip_bad

    def __getitem__(self, step: int) -> Batch:
        try:
            return self._batch(step)
        except AnyMAEError as error:
            return Batch(None, error=error)
        except Exception as error:
            if get_worker_info() is None:
                raise
            return Batch(None, error=_from_worker(error, step))

    def _batch(self, step: int) -> Batch:
        samples, keys, places, drawn, bad = [], [], [], [], []
        seed = self.plan.seed
        for epoch, index in share(self.plan.draw(step), self.rank, self.world):
            try:
                generator = draws.generator(seed, epoch, index, "augment")
                samples.append(_prepared(self.source, self.adapter, index, generator))
                keys.append(draws.key(seed, epoch, index, "sample"))
                places.append(self.source.where(index))
                drawn.append((epoch, index))
            except AnyMAEError as error:
                if not self.skip_bad:
                    raise
                bad.append(error)
        packed = None
        if samples:
            packed = tokenized(self.adapter, samples, places).with_keys(torch.tensor(keys))
        return Batch(packed, drawn, bad)


def _prepared(source: Source, adapter: Adapter, index: int, generator: torch.Generator) -> Any:
    sample = source[index]
    try:
        return adapter.augment(sample, generator)
    except AnyMAEError as error:
        raise error.at(source.where(index)) from None


def tokenized(adapter: Adapter, samples: Sequence[Any], places: Sequence[str]) -> Packed:
    """A batch of samples as tokens; an error names the place of the sample that caused it."""
    try:
        return adapter.batch_tokenize(samples)
    except AnyMAEError as error:
        for sample, place in zip(samples, places, strict=True):
            try:
                adapter.tokenize(sample)
            except AnyMAEError as own:
                raise own.at(place) from None
        raise error


def read_batch(source: Source, adapter: Adapter, indices: Sequence[int], *purpose: Any) -> Packed:
    """Samples as they are, not augmented, with keys that depend on ``purpose`` and their index."""
    samples = [source[i] for i in indices]
    packed = tokenized(adapter, samples, [source.where(i) for i in indices])
    return packed.with_keys(torch.tensor([draws.key(*purpose, i) for i in indices]))


def readable(source: Source, adapter: Adapter, indices: Sequence[int]) -> list[int]:
    """Those of ``indices`` whose samples can be read and tokenized."""
    good = []
    for i in indices:
        try:
            adapter.tokenize(source[i])
            good.append(i)
        except AnyMAEError:
            continue
    return good


def micro_batches(packed: Packed, tokens: int) -> Iterator[Packed]:
    """Consecutive samples of at most ``tokens`` tokens together (or one larger sample)."""
    offsets, start = packed.offsets.tolist(), 0
    while start < len(packed):
        stop = start + 1
        while stop < len(packed) and offsets[stop + 1] - offsets[start] <= tokens:
            stop += 1
        yield packed if stop - start == len(packed) else packed.slice(start, stop)
        start = stop


def _from_worker(error: Exception, step: int) -> BadInput:
    return BadInput(
        f"{type(error).__name__} while preparing a batch: {error}",
        where=f"step {step}",
        hint="Set training.workers=0 to see where it was raised.",
    )
