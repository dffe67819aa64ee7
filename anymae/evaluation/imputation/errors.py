"""Errors of imputed tokens, place by place, in units of the error that means and modes make.

Shapes: m test samples, P places, F numbers a token, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.evaluation.imputation.grid import Grid


@dataclass(frozen=True)
class Errors:
    """``own`` and ``trivial`` (m, P): 0 or 1 for categories, the mean squared error for numbers,
    both 0 beside the ``hidden`` (m, P) tokens."""

    own: Tensor
    trivial: Tensor
    hidden: Tensor
    choice: Tensor

    def over_places(self, weights: Tensor) -> Tensor:
        """(R,) means over places of the error relative to the trivial one, where sample i counts
        ``weights[:, i]`` times, weights (R, m). Places that means and modes get right are left out.
        """
        ratio = self.by_place(weights)
        return torch.nanmean(ratio, dim=1)

    def by_place(self, weights: Tensor) -> Tensor:
        """(R, P) the error rate of categories or the root mean squared error of numbers, divided by
        that of modes and means; NaN where they make none."""
        own, trivial = (self._root(weights @ e.double()) for e in (self.own, self.trivial))
        return torch.where(trivial > 0, own / trivial.clamp(min=1e-30), torch.nan)

    def mean_error(self, choice: bool) -> float:
        """The mean over categorical places of the error rate, or over numeric places of the root
        mean squared error; NaN if there are none."""
        count = self.hidden.double().sum(0)
        kept = (self.choice == choice) & (count > 0)
        mean = self._root(self.own.double().sum(0) / count.clamp(min=1))
        return float(mean[kept].mean()) if kept.any() else float("nan")

    def _root(self, total: Tensor) -> Tensor:
        return torch.where(self.choice, total, total.sqrt())


def errors(truth: Grid, imputed: Tensor, trivial: Tensor, hidden: Tensor) -> Errors:
    """Of ``imputed`` and ``trivial`` contents (m, P, F) where ``hidden`` (m, P)."""
    own, other = (_each(truth, said) * hidden for said in (imputed, trivial))
    return Errors(own, other, hidden, truth.choice)


def _each(truth: Grid, said: Tensor) -> Tensor:
    """(m, P) one error a token."""
    known = truth.known
    best = said.masked_fill(~known, float("-inf")).argmax(2)
    wrong = best != truth.values.masked_fill(~known, float("-inf")).argmax(2)
    squares = ((said - truth.values).square() * known).sum(2) / known.sum(2).clamp(min=1)
    return torch.where(truth.choice, wrong.float(), squares)
