"""Masked loss: how well a model predicts hidden tokens of data, with seeded masks.

Shapes: n samples, A asked tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.data.batches import read_batch
from anymae.data.sources import Source
from anymae.errors import BadInput
from anymae.kernels.segments import Segments
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.tokens import Packed
from anymae.training.baselines import trivial

BATCH = 64


@dataclass(frozen=True)
class MaskedLoss:
    """``sums`` (n,) losses of each sample's asked tokens and their ``counts`` (n,)."""

    sums: Tensor
    counts: Tensor

    @property
    def mean(self) -> float:
        """Loss per asked token."""
        return float(self.sums.sum() / self.counts.sum())

    @property
    def error(self) -> float:
        """Standard error of the mean over samples."""
        deviations = self.sums - self.mean * self.counts
        return float(deviations.square().sum().sqrt() / self.counts.sum())


def batches(model: Model, source: Source, seed: int) -> list[Packed]:
    """All samples, packed, with keys that depend on ``seed``."""
    device = next(model.parameters()).device
    starts = range(0, len(source), BATCH)
    return [
        read_batch(
            source, model.adapter, range(i, min(i + BATCH, len(source))), seed, "diagnose"
        ).to(device)
        for i in starts
    ]


@torch.no_grad()
def masked_loss(model: Model, packed: list[Packed], precision: Precision) -> MaskedLoss:
    """The recipe's loss with its own mask, by sample; samples asked for nothing are left out.
    Raises ``BadInput`` if all are."""
    sums, counts = [], []
    was_training = model.training
    model.eval()
    for batch in packed:
        roles = model.recipe.mask.draw(batch, model)
        if not roles.of_ask.total:
            continue
        with autocast(batch.device, precision):
            output = model(batch, roles)
        asked = batch.select(roles.ask, roles.of_ask)
        each = model.score(output.prediction, output.target, asked)
        sums.append(_by_sample(each, roles.of_ask))
        counts.append(roles.of_ask.lengths.double())
    model.train(was_training)
    if not sums:
        raise BadInput(
            "no token can be hidden", where="dataset", found="samples of a single token each"
        )
    return MaskedLoss(torch.cat(sums), torch.cat(counts))


def explained(model: Model, packed: list[Packed], loss: float) -> tuple[float, float]:
    """The share of the better trivial predictor's loss that the model removes, and that loss."""
    found = trivial(model, packed)
    return found.explained(loss), found.best


def _by_sample(each: Tensor, of_ask: Segments) -> Tensor:
    total = torch.zeros(len(of_ask), dtype=torch.float64)
    return total.index_add_(0, of_ask.ids("cpu"), each.double().cpu())
