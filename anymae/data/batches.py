"""Batches: the packed batch of a step, made from nothing but the step's number.

A bad sample is returned as an error, not raised: exceptions lose their type and their fields on
the way out of a loader's worker.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds that reading, augmenting and tokenizing took."""
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
        prepared: list[_Prepared] = []
        bad: list[AnyMAEError] = []
        watch = _Watch()
        for epoch, index in share(self.plan.draw(step), self.rank, self.world):
            try:
                prepared.append(self._prepare(epoch, index, watch))
            except AnyMAEError as error:
                if not self.skip_bad:
                    raise
                bad.append(error)
        packed = None
        if prepared:
            try:
                packed = self._packed(prepared)
            except AnyMAEError:
                if not self.skip_bad:
                    raise
                prepared = [one for one in prepared if self._is_good(one, bad)]
                packed = self._packed(prepared) if prepared else None
            watch.add("tokenizing")
        return Batch(packed, [one.drawn for one in prepared], bad, watch.seconds)

    def _prepare(self, epoch: int, index: int, watch: _Watch) -> _Prepared:
        """A sample as training sees it."""
        seed, where = self.plan.seed, self.source.where
        generator = draws.generator(seed, epoch, index, "augment")
        sample = self.source[index]
        watch.add("reading")
        try:
            sample = self.adapter.augment(sample, generator)
        except AnyMAEError as error:
            raise error.at(where(index)) from None
        watch.add("augmenting")
        key = draws.key(seed, epoch, index, "sample")
        return _Prepared(sample, where(index), key, (epoch, index))

    def _packed(self, prepared: Sequence[_Prepared]) -> Packed:
        samples = [one.sample for one in prepared]
        packed = tokenized(self.adapter, samples, [one.place for one in prepared])
        return packed.with_keys(torch.tensor([one.key for one in prepared]))

    def _is_good(self, one: _Prepared, bad: list[AnyMAEError]) -> bool:
        """Whether a sample can be tokenized; if not, its error is added to ``bad``."""
        try:
            self.adapter.tokenize(one.sample)
        except AnyMAEError as error:
            bad.append(error.at(one.place))
            return False
        return True


class _Watch:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def add(self, what: str) -> None:
        """The time since the last call went into ``what``."""
        now = time.perf_counter()
        self.seconds[what] = self.seconds.get(what, 0.0) + now - self._since
        self._since = now


class _Prepared(NamedTuple):
    """A sample before it is tokenized: its place in words, the key of its draws, and the (epoch,
    sample index) pair."""

    sample: Any
    place: str
    key: int
    drawn: tuple[int, int]


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
