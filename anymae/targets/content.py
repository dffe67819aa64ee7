"""Content: the hidden token itself.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import IncompatibleRecipe
from anymae.losses import Loss
from anymae.targets.target import Scene, Target
from anymae.tokens import OBSERVED, Packed


class Content(Target, kind="content"):
    """The token's own content.

    ``normalise="token"`` subtracts each token's mean and divides by its standard deviation
    (MAE's norm-pix: unbiased variance plus ``eps``); ``"none"`` leaves it as it is.
    """

    normalise: Literal["none", "token"] = "none"
    eps: float = 1e-6

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        if self.normalise == "token" and adapter.token_dim < 2:
            raise IncompatibleRecipe(
                f"target.normalise=token on {adapter.name}: a token of one number is always 0",
                found=f"token_dim {adapter.token_dim}",
                hint="Set target.normalise=none.",
            )
        return adapter.token_dim

    def head(self, adapter: Adapter, width: int, encoder: EncoderConfig) -> nn.Module:
        return adapter.head(width, self.width(adapter))

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        content = adapter.target(asked).detach().float()
        if self.normalise == "none" or not len(content):
            return content
        _, scale, apart = self._moments(content, asked.side.get(OBSERVED))
        return apart / scale

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        return adapter.content_loss(loss, prediction, target, asked)

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        return adapter.as_prediction(target, asked)

    def undo(self, prediction: Tensor, content: Tensor, observed: Tensor | None = None) -> Tensor:
        """A prediction (A, F) in the units of the true ``content`` (A, F), whose statistics a
        normalised target needs: for pictures, not for scores."""
        if self.normalise == "none" or not len(content):
            return prediction
        mean, scale, _ = self._moments(content, observed)
        return prediction * scale + mean

    def _moments(self, content: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """(A, 1) mean and standard deviation of what is known of each token, and (A, F) how far
        the content is from the mean."""
        if observed is None:  # torch's own variance takes several times as long on CPUs
            mean = content.mean(1, keepdim=True)
            apart = content - mean
            squares = torch.linalg.vector_norm(apart, dim=1, keepdim=True).square()
            return mean, (squares / (content.shape[1] - 1) + self.eps).sqrt(), apart
        count = observed.sum(1, keepdim=True)
        mean = (content * observed).sum(1, keepdim=True) / count.clamp(min=1)
        apart = content - mean
        squares = (apart * observed).square().sum(1, keepdim=True)
        return mean, (squares / (count - 1).clamp(min=1) + self.eps).sqrt(), apart
