"""Decoders that take what the encoder made as it is.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from anymae.decoders.decoder import Decoder, Question
from anymae.encoder import EncoderConfig, Latents
from anymae.pooling import parsed, pooled


class LinearDecoder(Decoder, kind="linear"):
    """The encoder's own output for the hidden tokens; the head does the rest (SimMIM)."""

    reads_hidden_rows: ClassVar[bool] = True

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        return _LinearDecoder()


class _LinearDecoder(nn.Module):
    def forward(self, latents: Latents, question: Question) -> Tensor:
        assert question.ask_rows is not None, "Recipe.check admits only corruptions that keep them"
        return latents.tokens().index_select(0, question.ask_rows)


class PoolDecoder(Decoder, kind="pool"):
    """One answer for a whole sample: what the encoder made of it, pooled, through a network of one
    hidden layer, ``hidden`` times as wide as the encoder.

    ``pool`` names one of ``anymae.pooling``: the class token, or the mean or maximum of the encoded
    tokens. For questions about samples (``mask.asked=sample``, or a goal with ``scope=sample``).
    """

    of_samples: ClassVar[bool] = True

    pool: Literal["cls", "mean", "max"] = "mean"
    hidden: float = Field(default=1.0, gt=0)

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        return _PoolDecoder(encoder, parsed(self.pool, encoder), self.hidden)


class _PoolDecoder(nn.Module):
    def __init__(self, encoder: EncoderConfig, kinds: tuple[str, ...], hidden: float) -> None:
        super().__init__()
        self.kinds = kinds
        inner = max(1, round(hidden * encoder.width))
        self.layers = nn.Sequential(
            nn.Linear(encoder.width, inner), nn.GELU(), nn.Linear(inner, encoder.width)
        )

    def forward(self, latents: Latents, question: Question) -> Tensor:
        return self.layers(pooled(latents, self.kinds))
