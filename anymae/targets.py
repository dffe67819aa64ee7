"""Targets: what the answer should be.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from anymae.adapter import Adapter
from anymae.errors import IncompatibleRecipe
from anymae.parts import Part
from anymae.tokens import Packed


class Target(Part, slot="target"):
    """A part that says what is predicted."""

    def width(self, adapter: Adapter) -> int:
        """Numbers predicted for each token. Raises ``IncompatibleRecipe``."""
        raise NotImplementedError

    def of(self, adapter: Adapter, asked: Packed) -> Tensor:
        """(A, width) targets for the asked tokens, without gradient."""
        raise NotImplementedError


class Content(Target, kind="content"):
    """The token's own content.

    ``normalise="token"`` subtracts each token's mean and divides by its standard deviation
    (MAE's norm-pix: unbiased variance plus ``eps``); ``"none"`` leaves it as it is.
    """

    normalise: Literal["none", "token"] = "none"
    eps: float = 1e-6

    def width(self, adapter: Adapter) -> int:
        if self.normalise == "token" and adapter.token_dim < 2:
            raise IncompatibleRecipe(
                f"target.normalise=token on {adapter.name}: a token of one number is always 0",
                found=f"token_dim {adapter.token_dim}",
                hint="Set target.normalise=none.",
            )
        return adapter.token_dim

    def of(self, adapter: Adapter, asked: Packed) -> Tensor:
        content = adapter.target(asked).detach().float()
        if self.normalise == "none":
            return content
        return (content - content.mean(1, keepdim=True)) / self._scale(content)

    def undo(self, prediction: Tensor, content: Tensor) -> Tensor:
        """A prediction (A, F) in the units of the true ``content`` (A, F), whose statistics a
        normalised target needs: for pictures, not for scores."""
        if self.normalise == "none":
            return prediction
        return prediction * self._scale(content) + content.mean(1, keepdim=True)

    def _scale(self, content: Tensor) -> Tensor:
        if not len(content):  # of no token there is none, and torch would warn
            return content[:, :1]
        return (content.var(1, keepdim=True) + self.eps).sqrt()
