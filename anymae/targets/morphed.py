"""Morphed features: a teacher's features, averaged over groups of tokens that are alike.

Shapes: A asked tokens of B samples, n tokens of one sample, D the teacher's width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.adapter import Adapter
from anymae.losses import Loss
from anymae.targets.features import Features
from anymae.tokens import Packed


class MorphedFeatures(Features, kind="morphed"):
    """Features whose predictions and targets are both averaged over groups before they are
    compared, so that noise of single tokens cancels (dynamic token morphing, Kim et al. 2024).

    For each sample and each of ``schedules``, a number of tokens to merge, from 0 to all but one,
    and a number of rounds, from 1 to ``rounds``, are drawn. In a round every second group left is
    matched with the most similar one of the others, by cosine of mean targets, and the best matches
    are merged (Bolya et al. 2023); as many in each round, and never more than half of what is left.
    """

    schedules: int = Field(default=2, ge=1)
    rounds: int = Field(default=14, ge=1)

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        each = []
        for schedule in range(self.schedules):
            group = self._groups(target, asked, schedule)
            said, true = (_averaged(x.float(), group) for x in (prediction, target))
            each.append(super().score(adapter, loss, said, true, asked))
        return torch.stack(each).mean(0)

    @torch.no_grad()
    def _groups(self, target: Tensor, asked: Packed, schedule: int) -> Tensor:
        """(A,) a token of each token's group."""
        keys = asked.drawing_keys
        counter = torch.full_like(keys, schedule)
        coins = [draws.uniform(keys, counter, f"morph/{what}").tolist() for what in ("n", "rounds")]
        found, start = [torch.zeros(0, dtype=torch.int64, device=target.device)], 0
        for length, many, rounds in zip(asked.segments.lengths.tolist(), *coins, strict=True):
            merged, left = int(many * length), 1 + int(rounds * self.rounds)
            one = merge(target[start : start + length], merged, math.ceil(merged / left))
            found.append(one + start)
            start += length
        return torch.cat(found)


def merge(x: Tensor, count: int, at_once: int) -> Tensor:
    """(n,) a token of the group each of x (n, D) is in, after merging ``count`` times, at most
    ``at_once`` in a round."""
    group = torch.arange(len(x), device=x.device)
    while count > 0:
        left = group.unique()
        means = F.normalize(_averaged(x.float(), group)[left], dim=1)
        from_, to = left[::2], left[1::2]
        number = min(count, at_once, len(from_)) if len(to) else 0
        if not number:
            break
        best, which = (means[::2] @ means[1::2].T).max(1)
        chosen = best.argsort(descending=True, stable=True)[:number]
        new = torch.arange(len(x), device=x.device)
        new[from_[chosen]] = to[which[chosen]]
        group = new[group]
        count -= number
    return group


def _averaged(x: Tensor, group: Tensor) -> Tensor:
    """(A, D) each row replaced by the mean of its group."""
    total = torch.zeros_like(x).index_add(0, group, x)
    size = torch.bincount(group, minlength=len(x)).clamp(min=1)
    return (total / size[:, None])[group]
