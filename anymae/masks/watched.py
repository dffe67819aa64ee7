"""Priorities that ask a model what it sees.

Shapes: B samples, T tokens, G groups.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.kernels.segments import Segments
from anymae.masks.groups import Grouping
from anymae.masks.priorities import Priority, noise
from anymae.masks.select import select
from anymae.tokens import Packed


class Onlooker(Protocol):
    """What a model tells a mask: the fraction ``done`` of the run, and what its teacher attends to
    or finds difficult."""

    done: float

    def attention(self, packed: Packed) -> Tensor:
        """(T,) shares of the class token's attention, of sum 1 in each sample."""

    def difficulty(self, packed: Packed) -> Tensor:
        """(T,) how hard each token is to predict, comparable within a sample."""

    def received(self, packed: Packed, queries: Tensor, of_queries: Segments) -> Tensor:
        """(T,) how much attention the tokens at ``queries`` (Q,) give each token of their sample
        in the first block."""


class WatchedPriority(Priority):
    """A priority that an onlooker informs; without one, noise."""

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        return noise(packed, grouping.segments, "mask")

    def of_watched(
        self, packed: Packed, grouping: Grouping, onlooker: Onlooker, seen: Tensor
    ) -> Tensor:
        """(G,) floats, lowest first seen; ``seen`` (B,) on the CPU are the groups that will be."""
        raise NotImplementedError


class AttentionPriority(WatchedPriority, kind="attention"):
    """By the teacher's attention from its class token to each token, in its last block.

    ``hide="high"`` hides what is most attended to (AttMask, Kakogeorgiou et al. 2022), ``"low"``
    what is least; ``"sampled"`` draws what is seen with probability in proportion to attention
    (MaskAlign, Xue et al. 2023). A share ``random`` of the samples is masked by noise instead.
    """

    needs_cls: ClassVar[bool] = True

    hide: Literal["high", "low", "sampled"] = "high"
    random: float = Field(default=0.0, ge=0, le=1)

    def of_watched(
        self, packed: Packed, grouping: Grouping, onlooker: Onlooker, seen: Tensor
    ) -> Tensor:
        share = grouping.average(onlooker.attention(packed))
        coin = noise(packed, grouping.segments, "mask")
        if self.hide == "sampled":  # an exponential race: smallest time first
            order = -torch.log(coin.clamp(min=1e-12)) / share.clamp(min=1e-12)
        else:
            order = share if self.hide == "high" else -share
        if not self.random:
            return order
        zero = torch.zeros(len(packed), dtype=torch.int64, device=packed.device)
        plain = draws.uniform(packed.drawing_keys, zero, "mask/plain") < self.random
        return torch.where(plain[grouping.segments.ids(packed.device)], coin, order)


class DifficultyPriority(WatchedPriority, kind="difficulty"):
    """By how hard the teacher says a token is to predict: a share of what is hidden are the hardest
    groups of each sample, the others are hidden at random (HPM, Wang et al. 2023).

    The share goes from ``start`` to ``end`` in a straight line over the run, from easy to hard.
    """

    needs_difficulty: ClassVar[bool] = True

    start: float = Field(default=0.0, ge=0, le=1)
    end: float = Field(default=0.5, ge=0, le=1)

    def of_watched(
        self, packed: Packed, grouping: Grouping, onlooker: Onlooker, seen: Tensor
    ) -> Tensor:
        hard = grouping.average(onlooker.difficulty(packed))
        share = self.start + (self.end - self.start) * onlooker.done
        lengths = grouping.segments.lengths
        hardest = torch.floor((lengths - seen).double() * share + 1e-9).long()
        last = torch.ones_like(hard)
        last[select(hard, grouping.segments, lengths - hardest)] = 0.0
        return last + noise(packed, grouping.segments, "mask")


class ReceivedPriority(WatchedPriority, kind="received"):
    """By the attention that random tokens of a sample give each token in the student's first block:
    what a few of them look at is hidden together (SMA, Xie et al. 2024).

    There is one such token for every ``per_query`` hidden ones, at least one: the more hidden ones
    share one, the more the hidden lie together.
    """

    per_query: float = Field(default=16.0, gt=0)

    def of_watched(
        self, packed: Packed, grouping: Grouping, onlooker: Onlooker, seen: Tensor
    ) -> Tensor:
        hidden = (grouping.segments.lengths - seen).double()
        lengths = packed.segments.lengths
        count = torch.round(hidden / self.per_query).long().clamp(min=1).minimum(lengths)
        queries = select(noise(packed, packed.segments, "mask/query"), packed.segments, count)
        looked_at = onlooker.received(packed, queries, Segments.of_lengths(count))
        return grouping.average(looked_at)
