"""Losses that compare number by number.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.losses.loss import Loss, mean_known


class ElementwiseLoss(Loss):
    """The mean over a token's known numbers of how far each is off."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(A, F) from (A, F) and (A, F), in float32."""
        raise NotImplementedError

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        return mean_known(self.error(prediction.float(), target), observed)


class SquaredLoss(ElementwiseLoss, kind="squared"):
    """The mean squared difference."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square()


class AbsoluteLoss(ElementwiseLoss, kind="absolute"):
    """The mean absolute difference."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()


class SmoothLoss(ElementwiseLoss, kind="smooth"):
    """Smooth L1: half e^2 / ``beta`` below ``beta``, |e| - ``beta`` / 2 above."""

    beta: float = Field(default=1.0, gt=0)

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(prediction, target, beta=self.beta, reduction="none")


class BinaryLoss(ElementwiseLoss, kind="binary"):
    """The mean cross entropy of each number, a logit, with a target that is 0 or 1."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(prediction, target.float(), reduction="none")
