"""Decoders that take what the encoder made as it is.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from anymae.decoders.decoder import Decoder, Question
from anymae.encoder import EncoderConfig, Latents


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
