"""Decoders whose asked tokens attend: to all, or to the encoded ones alone.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from anymae import draws, layouts
from anymae.blocks import Block, CrossBlock
from anymae.decoders.decoder import Asking, Question, Sized
from anymae.encoder import EncoderConfig, Latents, LayoutChoice, check_window
from anymae.kernels import ragged
from anymae.kernels.segments import Segments


class SelfDecoder(Sized, kind="self"):
    """Encoded tokens and mask tokens attend to one another (He et al. 2022).

    ``window`` restricts that to boxes of coordinate units, ``shifted`` in every second block, with
    every ``global_every``-th block full (0: none), as in ``EncoderConfig`` (AudioMAE, Huang et al.
    2022). None: as the encoder does; who may not meet there may not meet here.

    ``place_noise`` blurs in training where the asked tokens are: normal noise of this deviation and
    the encoder's width is added to each one's position through the very map that brings encoded
    tokens to the decoder's width, which so cannot learn to ignore it (FlexPredict, Bar et al.
    2024).
    """

    window: tuple[float | None, ...] | None = None
    shifted: bool = True
    global_every: int = Field(default=0, ge=0)
    place_noise: float = Field(default=0.0, ge=0)

    @field_validator("window")
    @classmethod
    def _extents(cls, window: tuple[float | None, ...] | None) -> tuple[float | None, ...] | None:
        if window is not None:
            check_window(window)
        return window

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        width, depth, heads = self.sized(encoder)
        blocks = [Block(width, heads, self.mlp_ratio, encoder.norm_eps) for _ in range(depth)]
        choice = LayoutChoice(self._windowed(encoder), depth, heads, 0)
        return _SelfDecoder(encoder, width, blocks, place(width), choice, self.place_noise)

    def _windowed(self, encoder: EncoderConfig) -> EncoderConfig:
        """Who meets whom in the decoder. Along edges: see ``EdgeDecoder``."""
        if self.window is None:
            layout = "window" if encoder.layout == "window" else "full"
            return encoder.model_copy(update={"layout": layout})
        return encoder.model_copy(
            update={
                "layout": "window",
                "window": self.window,
                "shifted": self.shifted,
                "global_every": self.global_every,
            }
        )


class CrossDecoder(Sized, kind="cross"):
    """Mask tokens read the encoded tokens and not one another, so that any part of the hidden
    may be asked at its own price (CrossMAE, Fu et al. 2024, without its weighting of layers)."""

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        width, depth, heads = self.sized(encoder)
        blocks = [
            CrossBlock(width, encoder.width, heads, self.mlp_ratio, encoder.norm_eps)
            for _ in range(depth)
        ]
        return _CrossDecoder(encoder, width, blocks, place(width))


class _SelfDecoder(Asking):
    def __init__(
        self,
        encoder: EncoderConfig,
        width: int,
        blocks: list[Block],
        position: nn.Module,
        choice: LayoutChoice,
        place_noise: float,
    ) -> None:
        super().__init__(encoder, width, position)
        self.embed = nn.Linear(encoder.width, width)
        self.blocks = nn.ModuleList(blocks)
        self.layouts = choice
        self.place_noise = place_noise

    def forward(self, latents: Latents, question: Question) -> Tensor:
        known = self.embed(latents.x)
        positions = self.position(question.coords).to(known.dtype)
        nowhere = positions.new_zeros(latents.of_lead.total, self.width)
        known = known + ragged.join(nowhere, latents.of_lead, positions, latents.of_tokens)[0]
        asked = self.asked(question).to(known.dtype)
        if self.training and self.place_noise:
            asked = asked + F.linear(self._noise(question).to(known.dtype), self.embed.weight)
        x, joined = ragged.join(known, latents.segments, asked, question.of_ask)
        of_places, places = Segments(latents.of_tokens.offsets + question.of_ask.offsets), None
        if self.layouts.reads_coords:
            places, of_places = ragged.join(
                question.coords, latents.of_tokens, question.ask_coords, question.of_ask
            )
        chosen = self.layouts(latents.of_lead, of_places, places)
        for block, layout in zip(self.blocks[:-1], chosen[:-1], strict=True):
            x = block(x, layout, joined)
        last = cast(Block, self.blocks[-1])
        if isinstance(chosen[-1], layouts.Partition) and chosen[-1].order is None:
            return self.norm(last.tail(x, joined, question.of_ask))
        return self.norm(ragged.tail(last(x, chosen[-1], joined), joined, question.of_ask))

    def _noise(self, question: Question) -> Tensor:
        """(A, D) what blurs the places of the asked tokens."""
        assert question.keys is not None, "masks in training need keys, too"
        device, width = question.keys.device, self.embed.in_features
        owner, place = question.of_ask.ids(device), question.of_ask.within(device)
        number = place[:, None] * width + torch.arange(width, device=device)
        return self.place_noise * draws.normal(question.keys[owner, None], number, "decoder/place")


class _CrossDecoder(Asking):
    def __init__(
        self, encoder: EncoderConfig, width: int, blocks: list[CrossBlock], position: nn.Module
    ) -> None:
        super().__init__(encoder, width, position)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, latents: Latents, question: Question) -> Tensor:
        x = self.asked(question)
        for block in self.blocks:
            x = block(x, question.of_ask, latents.x, latents.segments)
        return self.norm(x)
