"""Decoders: who answers for the asked tokens.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from anymae import draws, layouts
from anymae.blocks import Block, CrossBlock
from anymae.encoder import EncoderConfig, Latents, LayoutChoice, check_window
from anymae.errors import BadConfig
from anymae.kernels import ragged
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

    def out_width(self, encoder: EncoderConfig) -> int:
        """W, the width of the answers."""
        return encoder.width

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        """``place(width)`` makes a module that turns coordinates into vectors."""
        raise NotImplementedError


class _Sized(Decoder):
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


class SelfDecoder(_Sized, kind="self"):
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


class CrossDecoder(_Sized, kind="cross"):
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


class EdgeDecoder(_Sized, kind="edges"):
    """Attention along the edges of the whole graph, where every hidden token, whatever the encoder
    made of it, starts again as one learned vector (GraphMAE's re-masking, Hou et al. 2022)."""

    needs: ClassVar[frozenset[str]] = frozenset({"edges"})

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        width, depth, heads = self.sized(encoder)
        blocks = [Block(width, heads, self.mlp_ratio, encoder.norm_eps) for _ in range(depth)]
        along = encoder.model_copy(update={"layout": "edges"})
        choice = LayoutChoice(along, depth, heads, edge_dim)
        return _EdgeDecoder(encoder, width, blocks, place(width), choice)


class LinearDecoder(Decoder, kind="linear"):
    """The encoder's own output for the hidden tokens; the head does the rest (SimMIM)."""

    reads_hidden_rows: ClassVar[bool] = True

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        return _LinearDecoder()


class _Asking(nn.Module):
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


class _SelfDecoder(_Asking):
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


class _CrossDecoder(_Asking):
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


class _EdgeDecoder(_Asking):
    def __init__(
        self,
        encoder: EncoderConfig,
        width: int,
        blocks: list[Block],
        position: nn.Module,
        choice: LayoutChoice,
    ) -> None:
        super().__init__(encoder, width, position)
        self.embed = nn.Linear(encoder.width, width, bias=False)
        self.blocks = nn.ModuleList(blocks)
        self.layouts = choice

    def forward(self, latents: Latents, question: Question) -> Tensor:
        whole = question.graph
        if whole is None:
            raise BadConfig("decoder=edges needs tokens that have edges")
        seen = self.embed(latents.tokens())
        seen = seen if whole.see_rows is None else seen.index_select(0, whole.see_rows)
        x = self.mask_token.to(seen.dtype).repeat(len(whole.coords), 1)
        x = x.index_copy(0, whole.roles.see, seen)
        x = x + self.position(whole.coords).to(seen.dtype)
        nobody = Segments.of_lengths([0] * len(whole.segments))
        chosen = self.layouts(nobody, whole.segments, edges=whole.edges)
        for depth, (block, layout) in enumerate(zip(self.blocks, chosen, strict=True)):
            x = block(x, layout, whole.segments, depth=depth)
        return self.norm(x.index_select(0, whole.roles.ask))


class _LinearDecoder(nn.Module):
    def forward(self, latents: Latents, question: Question) -> Tensor:
        assert question.ask_rows is not None, "Recipe.check admits only corruptions that keep them"
        return latents.tokens().index_select(0, question.ask_rows)
