"""Symbols: modalities whose token is one of a few (residues, letters, events, codes).

Shapes: A asked tokens, F symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from anymae.adapter import Adapter
from anymae.losses import Loss
from anymae.tokens import Packed

LEAST = 1e-4
"""The probability that no symbol is denied, where shares of symbols are said as logits."""


class SymbolAdapter(Adapter):
    """Base of such modalities. Content is one-hot over ``token_dim`` symbols, a prediction as many
    logits, scored by cross entropy whatever the recipe's loss for numbers; reconstructions hold
    probabilities, of which ``untokenize`` may take the largest."""

    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        return -(target * prediction.float().log_softmax(1)).sum(1)

    def as_content(self, prediction: Tensor, asked: Packed) -> Tensor:
        return prediction.float().softmax(1)

    def as_prediction(self, content: Tensor, asked: Packed) -> Tensor:
        return content.float().clamp(min=LEAST).log()

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        return {"mask.ratio": 0.5, "target.normalise": "none"} if recipe == "mae" else {}
