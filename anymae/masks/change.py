"""Priorities that follow what changes in time.

Shapes: B samples, T tokens, G groups, P coordinates (time first), F numbers a token.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from anymae.masks.budgets import bounded
from anymae.masks.groups import Grouping, equal_cells
from anymae.masks.priorities import Priority, noise
from anymae.masks.select import select
from anymae.tokens import OBSERVED, Packed


class ChangePriority(Priority, kind="change"):
    """By how far a token's content is from that of the token before it at the same place (see
    ``change``): what changes most is seen first, or with ``hide`` hidden first.

    With a ``pool``, seen are random ones of that share of a sample's groups which come first;
    ``mask.asked=next`` then asks for the rest of the pool (EVEREST, Hwang et al. 2024).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"time"})

    hide: bool = False
    pool: float | None = Field(default=None, gt=0, le=1)

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        moved = grouping.average(change(packed))
        order = ranked(moved if self.hide else -moved, packed, grouping)
        if self.pool is None:
            return order
        lengths = grouping.segments.lengths
        size = bounded(torch.floor(lengths.double() * self.pool + 1e-9).long(), lengths)
        outside = torch.ones_like(order)
        outside[select(order, grouping.segments, size)] = 0.0
        return outside + noise(packed, grouping.segments, "mask/pool").double()


class MotionPriority(Priority, kind="motion"):
    """Tokens nearest to where content changes are hidden: at each time the box around the mean
    place of its tokens, weighted by their squared ``change``; where nothing changes, around the
    mean place of the whole sample's changes (after MGM, Fan et al. 2023, whose motion is read from
    compressed streams).

    Samples have an exact count; boxes of their times are equally large but for the sample's ends.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"time"})

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        places = packed.coords[:, 1:].double()
        apart = (places - _centres(packed, places)).abs()
        # A token of one coordinate, its time, is nowhere: noise decides.
        reach = apart.amax(1) if places.shape[1] else apart.new_zeros(len(places))
        return ranked(-grouping.average(reach), packed, grouping)


def change(packed: Packed) -> Tensor:
    """(T,) the distance of each token's content to that of the token before it in time which shares
    its other coordinates, over the numbers that both know; for the first of a place, that of the
    second; 0 for a token that is alone at its place."""
    place = equal_cells(packed, packed.coords[:, 1:]).of_token
    assert place is not None, "cells are always named"
    by_time = packed.coords[:, 0].argsort(stable=True)
    order = by_time[place[by_time].argsort(stable=True)]
    values, where = packed.values[order].float(), place[order]
    step = values[1:] - values[:-1]
    if OBSERVED in packed.side:
        known = packed.side[OBSERVED][order]
        step = step * (known[1:] & known[:-1])
    follows = where[1:] == where[:-1]
    size = torch.where(follows, step.square().sum(1).sqrt(), 0.0)
    nothing = size.new_zeros(1)
    back, ahead = torch.cat([nothing, size]), torch.cat([size, nothing])
    first = torch.cat([follows.new_ones(1), ~follows])
    found = torch.empty_like(back)
    found[order] = torch.where(first, ahead, back)
    return found


def ranked(order: Tensor, packed: Packed, grouping: Grouping) -> Tensor:
    """(G,) exact ranks of an order, with noise among equals."""
    rank = torch.unique(order, return_inverse=True)[1].double()
    return rank + noise(packed, grouping.segments, "mask").double()


def _centres(packed: Packed, places: Tensor) -> Tensor:
    """(T, P - 1) the mean place of what changes at each token's time."""
    weight = change(packed).double().square() + 1e-12  # a sample that never changes has a middle
    owner = packed.segments.ids(packed.device)
    time = equal_cells(packed, packed.coords[:, :1])
    assert time.of_token is not None, "cells are always named"
    whole, in_all = _weighed(places, weight, owner, len(packed))
    here, at_once = _weighed(places, weight, time.of_token, time.segments.total)
    moves = at_once[time.of_token] > 1e-6 * in_all[owner]
    return torch.where(moves[:, None], here[time.of_token], whole[owner])


def _weighed(x: Tensor, weight: Tensor, of: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Weighted means (N, P) of x (T, P) over the tokens of each of ``count`` groups, and the
    groups' weights (N,)."""
    total = weight.new_zeros(count).index_add_(0, of, weight)
    sums = x.new_zeros(count, x.shape[1]).index_add_(0, of, weight[:, None] * x)
    return sums / total[:, None], total
