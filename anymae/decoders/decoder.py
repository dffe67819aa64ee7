"""Decoder: who answers for the asked tokens, and what it is asked.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.encoder import EncoderConfig
from anymae.kernels.segments import Segments
from anymae.masks import Roles
from anymae.parts import Part
from anymae.tokens import Edges


@dataclass(frozen=True)
class Question:
    """What a decoder is asked: coordinates of the encoded tokens (S, P) and of the asked ones
    (A, P), how the asked are cut, the rows of the latents that stand for them, if any, the graph
    they are part of, if there is one, and the keys (B,) of the samples, for draws in training."""

    coords: Tensor
    ask_coords: Tensor
    of_ask: Segments
    ask_rows: Tensor | None
    graph: Whole | None = None
    keys: Tensor | None = None


@dataclass(frozen=True)
class Whole:
    """All T tokens of a batch with edges: where they are (T, P), who is seen, hidden and asked, and
    the rows of the latents that stand for the seen (None: all)."""

    edges: Edges
    coords: Tensor
    segments: Segments
    roles: Roles
    see_rows: Tensor | None


class Decoder(Part, slot="decoder"):
    """A part that makes a module ``forward(latents, question) -> (A, W)``."""

    reads_hidden_rows: ClassVar[bool] = False
    """Whether the encoder must carry hidden tokens (see ``Corruption.keeps_hidden``)."""
    of_samples: ClassVar[bool] = False
    """Whether it answers for whole samples, once each."""

    def out_width(self, encoder: EncoderConfig) -> int:
        """W, the width of the answers."""
        return encoder.width

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        """``place(width)`` makes a module that turns coordinates into vectors."""
        raise NotImplementedError


class Sized(Decoder):
    """Decoders made of blocks. What is None follows the encoder: half its width and a third of
    its depth, or MAE's 512 x 8 from width 768 on; a head for every 32 of width."""

    width: int | None = Field(default=None, gt=0)
    depth: int | None = Field(default=None, gt=0)
    heads: int | None = Field(default=None, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)

    def out_width(self, encoder: EncoderConfig) -> int:
        return self.sized(encoder)[0]

    def sized(self, encoder: EncoderConfig) -> tuple[int, int, int]:
        """Width, depth and heads."""
        large = encoder.width >= 768
        width = self.width or (512 if large else max(32, encoder.width // 2 // 32 * 32))
        depth = self.depth or (8 if large else max(1, encoder.depth // 3))
        return width, depth, self.heads or max(1, width // 32)


class Asking(nn.Module):
    """The asked tokens as one learned vector plus their positions, and the final norm."""

    def __init__(self, encoder: EncoderConfig, width: int, position: nn.Module) -> None:
        super().__init__()
        self.width = width
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.mask_token, std=0.02)
        self.position = position
        self.norm = nn.LayerNorm(width, eps=encoder.norm_eps)

    def asked(self, question: Question) -> Tensor:
        return self.mask_token + self.position(question.ask_coords)
