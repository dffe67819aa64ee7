"""Trivial predictors: what a loss must beat before it means anything.

Two of them, scored with the recipe's own mask, target and loss on real samples: the mean target
at the token's position over the data, and the mean target over the sample's visible tokens. The
fraction of the better one's loss that a model removes is reported as explained variance (it is
that, exactly, for squared errors; for other losses it is the share of the trivial loss removed).

Shapes: T tokens, F numbers a token, A asked tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anymae.kernels import ragged
from anymae.masks import Roles
from anymae.model import Model
from anymae.tokens import Packed


@dataclass(frozen=True)
class Trivial:
    """Mean loss per asked token of the two trivial predictors."""

    position_mean: float
    context_mean: float

    @property
    def best(self) -> float:
        """The loss to beat."""
        return min(self.position_mean, self.context_mean)

    def explained(self, loss: float) -> float:
        """1 for a perfect model, 0 for one no better than trivial, below 0 for a worse one."""
        return 1.0 - loss / self.best if self.best > 0 else 0.0


@torch.no_grad()
def trivial(model: Model, batches: Sequence[Packed]) -> Trivial:
    """Score the trivial predictors on batches (with keys). Position means are learned from the
    very samples scored, each token's own target left out."""
    drawn = [(packed, model.recipe.mask.draw(packed, model)) for packed in batches]
    targets = [_targets(model, packed, roles) for packed, roles in drawn]
    means = _PositionMeans([p.coords for p in batches], targets)
    totals, count = [0.0, 0.0], 0
    for (packed, roles), target in zip(drawn, targets, strict=True):
        if not roles.of_ask.total:
            continue
        asked, hidden = target[roles.ask], packed.select(roles.ask, roles.of_ask)
        guesses = means.at(packed.coords[roles.ask], asked), _context_mean(packed, roles, target)
        for i, guess in enumerate(guesses):
            said = model.recipe.target.as_prediction(model.adapter, guess, hidden)
            totals[i] += float(model.score(said, asked, hidden).double().sum())
        count += roles.of_ask.total
    position, context = (total / max(count, 1) for total in totals)
    if model.recipe.target.of_samples:  # what is seen of a sample would tell the sample's target
        context = position
    return Trivial(position, context)


def _targets(model: Model, packed: Packed, roles: Roles) -> Tensor:
    """(T, F): targets of every token, asked or not."""
    everything = torch.arange(packed.segments.total, device=packed.device)
    scene = replace(model.scene(packed, roles), rows=everything, of_rows=packed.segments)
    return model.recipe.target.of(model.adapter, packed, scene)


def _context_mean(packed: Packed, roles: Roles, target: Tensor) -> Tensor:
    """(A, F): the mean target of the tokens seen in the same sample."""
    means = ragged.mean(target[roles.see], roles.of_see)
    return means[packed.segments.ids(target.device)[roles.ask]]


class _PositionMeans:
    """The mean target at each coordinate; where a coordinate is rare, close to the global mean.

    A token's own target is left out: where every place is another (real numbers), it would be half
    of the guess.
    """

    def __init__(self, coords: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
        everything = torch.cat(list(targets)).double()
        self.places, which = torch.unique(torch.cat(list(coords)), dim=0, return_inverse=True)
        total = everything.mean(0).repeat(len(self.places), 1)
        self.total = total.index_add_(0, which, everything)
        self.count = torch.bincount(which, minlength=len(self.places))[:, None]

    def at(self, coords: Tensor, own: Tensor) -> Tensor:
        """(A, F) guesses for tokens at ``coords`` whose targets are ``own``."""
        _, index = torch.unique(torch.cat([self.places, coords]), dim=0, return_inverse=True)
        place_of = torch.empty_like(index[: len(self.places)])
        place_of[index[: len(self.places)]] = torch.arange(len(self.places), device=index.device)
        place = place_of[index[len(self.places) :]]
        return ((self.total[place] - own) / self.count[place]).float()
