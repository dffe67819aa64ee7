"""Losses: how far a prediction is from its target, one number a token.

They are summed over asked tokens and divided by the global count of a step by whoever trains:
an average of averages would weigh samples by their luck.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.parts import Part


class Loss(Part, slot="loss"):
    """A part that scores predictions."""

    def per_token(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(A,) from (A, F) and (A, F), in float32."""
        raise NotImplementedError


class SquaredLoss(Loss, kind="squared"):
    """The mean squared difference."""

    def per_token(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.float() - target).square().mean(1)


class AbsoluteLoss(Loss, kind="absolute"):
    """The mean absolute difference."""

    def per_token(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.float() - target).abs().mean(1)


class SmoothLoss(Loss, kind="smooth"):
    """Smooth L1: half e^2 / ``beta`` below ``beta``, |e| - ``beta`` / 2 above."""

    beta: float = Field(default=1.0, gt=0)

    def per_token(self, prediction: Tensor, target: Tensor) -> Tensor:
        error = F.smooth_l1_loss(prediction.float(), target, beta=self.beta, reduction="none")
        return error.mean(1)
