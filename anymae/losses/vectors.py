"""Losses that compare tokens as wholes: lengths, angles and choices.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.losses.loss import Loss


class EuclideanLoss(Loss, kind="euclidean"):
    """The length of the difference, over a token's known numbers: not its square, so that far
    tokens weigh no more than near ones (the masked task of DABS 2.0, Tamkin et al.
    2022)."""

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        error = (prediction.float() - target).square()
        error = error if observed is None else error * observed
        return (error.sum(1) + 1e-12).sqrt()  # the root has no slope at 0


class CosineLoss(Loss, kind="cosine"):
    """(1 - cosine similarity) ** ``power``: scaled cosine error for powers above 1, which weighs
    easy tokens down (GraphMAE, Hou et al. 2022)."""

    power: float = Field(default=1.0, ge=1)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        prediction, target = prediction.float(), target.float()
        if observed is not None:
            prediction, target = prediction * observed, target * observed
        return (1 - F.cosine_similarity(prediction, target, dim=1, eps=1e-6)) ** self.power


class CrossEntropyLoss(Loss, kind="cross-entropy"):
    """Cross entropy of logits with target probabilities, e.g. one-hot codes, of which a share
    ``smoothing`` is spread evenly."""

    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        logits = prediction.float()
        if observed is not None:
            logits = logits.masked_fill(~observed, torch.finfo(logits.dtype).min)
        return F.cross_entropy(
            logits, target.float(), reduction="none", label_smoothing=self.smoothing
        )
