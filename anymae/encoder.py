"""THE sparse encoder: pre-norm transformer blocks over packed visible tokens.

One class for every modality. It sees (T, width) vectors, how they are cut into samples and, for
windows, where they are; it never sees a hidden token or a padded one.

Shapes: B samples, T tokens, R registers a sample (the class token first), D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from anymae import layouts
from anymae.blocks import Block
from anymae.errors import BadConfig
from anymae.kernels import ragged
from anymae.kernels.segments import Segments


class EncoderConfig(BaseModel):
    """Size and shape of the encoder.

    ``cls`` puts a class token before each sample; ``registers`` adds further free tokens.
    ``layout="window"`` restricts attention to boxes of ``window`` coordinate units, alternately
    shifted, with every ``global_every``-th block full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0)
    depth: int = Field(gt=0)
    heads: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    cls: bool = True
    registers: int = Field(default=0, ge=0)
    layout: Literal["full", "window"] = "full"
    window: tuple[float, ...] = (8.0,)
    global_every: int = Field(default=4, ge=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    norm_eps: float = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> EncoderConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if min(self.window) <= 0:
            raise ValueError(f"window sizes must be positive, found {self.window}")
        return self

    @property
    def lead(self) -> int:
        """R: the class token and registers that precede each sample."""
        return int(self.cls) + self.registers


SIZES: dict[str, EncoderConfig] = {
    "nano": EncoderConfig(width=96, depth=4, heads=3),
    "tiny": EncoderConfig(width=192, depth=12, heads=3),
    "small": EncoderConfig(width=384, depth=12, heads=6),
    "base": EncoderConfig(width=768, depth=12, heads=12),
    "large": EncoderConfig(width=1024, depth=24, heads=16),
    "huge": EncoderConfig(width=1280, depth=32, heads=16),
}


@dataclass(frozen=True)
class Latents:
    """What the encoder made: ``x`` (T + B R, D), each sample's R registers before its tokens."""

    x: Tensor
    segments: Segments
    of_lead: Segments
    of_tokens: Segments
    taps: tuple[Tensor, ...] = ()

    def tokens(self, x: Tensor | None = None) -> Tensor:
        """(T, D): the rows of ``x`` (default: the output) that belong to tokens."""
        x = self.x if x is None else x
        return ragged.tail(x, self.segments, self.of_tokens)

    def registers(self, x: Tensor | None = None) -> Tensor:
        """(B, R, D): the class token first, if there is one."""
        x = self.x if x is None else x
        rows = ragged.head(x, self.segments, self.of_lead)
        return rows.view(len(self.segments), -1, x.shape[1])


class Encoder(nn.Module):
    """Registers, blocks and a final norm over packed tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.lead = nn.Parameter(torch.empty(config.lead, config.width))
        nn.init.normal_(self.lead, std=0.02)
        last = max(config.depth - 1, 1)
        rates = [config.drop_path * i / last for i in range(config.depth)]
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio, config.norm_eps, drop_path=rate)
            for rate in rates
        )
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(
        self,
        x: Tensor,
        segments: Segments,
        coords: Tensor | None = None,
        keys: Tensor | None = None,
        taps: tuple[int, ...] = (),
    ) -> Latents:
        """Encode x (T, D), embedded and positioned tokens cut by ``segments``.

        ``coords`` (T, P) are needed by windows, ``keys`` (B,) by drop path in training. ``taps``
        are block indices whose raw outputs (T + B R, D) are returned too.
        """
        of_lead = Segments.of_lengths([self.config.lead] * len(segments))
        of_tokens = segments
        lead = self.lead.to(x.dtype).repeat(len(segments), 1)
        x, segments = ragged.join(lead, of_lead, x, of_tokens)
        chosen = self._layouts(segments, coords)
        kept = []
        for i, block in enumerate(self.blocks):
            x = block(x, chosen[i], segments, keys, i)
            if i in taps:
                kept.append(x)
        return Latents(self.norm(x), segments, of_lead, of_tokens, tuple(kept))

    def _layouts(self, segments: Segments, coords: Tensor | None) -> list[layouts.Layout]:
        config = self.config
        everyone = layouts.full(segments)
        if config.layout == "full":
            return [everyone] * config.depth
        if coords is None:
            raise BadConfig("layout='window' needs the tokens' coordinates")
        plain, shifted = (
            layouts.windows(coords, segments, config.window, shifted=s, lead=config.lead)
            for s in (False, True)
        )
        return [
            everyone if (i + 1) % config.global_every == 0 else (shifted if i % 2 else plain)
            for i in range(config.depth)
        ]
