"""THE sparse encoder: pre-norm transformer blocks over packed visible tokens.

One class for every modality. It sees (T, width) vectors, how they are cut into samples and, for
windows, where they are; it never sees a hidden token or a padded one.

Shapes: B samples, T tokens, R registers a sample (the class token first), D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from anymae import layouts
from anymae.blocks import Block
from anymae.errors import BadConfig
from anymae.kernels import ragged
from anymae.kernels.segments import Segments
from anymae.tokens import Edges


def check_window(window: tuple[float | None, ...]) -> None:
    """Raise ``ValueError`` unless every size is positive or None."""
    if any(size is not None and size <= 0 for size in window):
        raise ValueError(f"window sizes must be positive, found {window}")


class EncoderConfig(BaseModel):
    """Size and shape of the encoder.

    ``cls`` puts a class token before each sample; ``registers`` adds further free tokens.
    ``layout="window"`` restricts attention to boxes of ``window`` coordinate units (None: of any
    extent), every second block's ``shifted`` by half of that, with every ``global_every``-th block
    full (0: none). ``layout="edges"`` restricts it to the edges of a graph.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0)
    depth: int = Field(gt=0)
    heads: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    cls: bool = True
    registers: int = Field(default=0, ge=0)
    layout: Literal["full", "window", "edges"] = "full"
    window: tuple[float | None, ...] = (8.0,)
    shifted: bool = True
    global_every: int = Field(default=4, ge=0)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    norm_eps: float = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> EncoderConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        check_window(self.window)
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

    def at(self, x: Tensor) -> Latents:
        """The same tokens with other vectors, those of a tap."""
        return replace(self, x=x)

    def tokens(self, x: Tensor | None = None) -> Tensor:
        """(T, D): the rows of ``x`` (default: the output) that belong to tokens."""
        x = self.x if x is None else x
        return ragged.tail(x, self.segments, self.of_tokens)

    def registers(self, x: Tensor | None = None) -> Tensor:
        """(B, R, D): the class token first, if there is one."""
        x = self.x if x is None else x
        rows = ragged.head(x, self.segments, self.of_lead)
        return rows.view(len(self.segments), -1, x.shape[1])


class LayoutChoice(nn.Module):
    """The layout of each of ``depth`` blocks with ``heads`` heads, as a configuration says."""

    def __init__(self, config: EncoderConfig, depth: int, heads: int, edge_dim: int) -> None:
        super().__init__()
        self.config = config
        self.depth = depth
        self.heads = heads
        biased = config.layout == "edges" and edge_dim > 0
        self.edge_bias = nn.Linear(edge_dim, depth * heads) if biased else None

    @property
    def reads_coords(self) -> bool:
        """Whether who meets whom depends on where tokens are."""
        return self.config.layout == "window"

    def forward(
        self,
        of_lead: Segments,
        of_tokens: Segments,
        coords: Tensor | None = None,
        edges: Edges | None = None,
    ) -> Sequence[layouts.Layout]:
        """One layout a block for tokens cut by ``of_tokens``, each sample led by its registers."""
        segments = Segments(of_lead.offsets + of_tokens.offsets)
        everyone = layouts.full(segments)
        if self.config.layout == "full":
            return [everyone] * self.depth
        if self.config.layout == "edges":
            return [self._along(edges, of_lead, of_tokens)] * self.depth
        if coords is None:
            raise BadConfig("layout='window' needs the tokens' coordinates")
        size, lead = self.config.window, of_lead.longest
        boxes = [layouts.windows(coords, segments, size, shifted=False, lead=lead)]
        if self.config.shifted:
            boxes.append(layouts.windows(coords, segments, size, shifted=True, lead=lead))
        every = self.config.global_every
        return [
            everyone if every and (i + 1) % every == 0 else boxes[i % len(boxes)]
            for i in range(self.depth)
        ]

    def _along(self, edges: Edges | None, of_lead: Segments, of_tokens: Segments) -> layouts.Graph:
        if edges is None:
            raise BadConfig("layout='edges' needs tokens that have edges")
        bias = None
        if self.edge_bias is not None and edges.values is not None:
            bias = self.edge_bias(edges.values).unflatten(1, (self.depth, self.heads))
        return layouts.edges(edges.pairs, bias, of_lead, of_tokens)


class Encoder(nn.Module):
    """Registers, blocks and a final norm over packed tokens. Where attention follows edges that
    hold ``edge_dim`` numbers, a linear map of these is added to every block's scores."""

    def __init__(self, config: EncoderConfig, edge_dim: int = 0) -> None:
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
        self.layouts = LayoutChoice(config, config.depth, config.heads, edge_dim)

    def forward(
        self,
        x: Tensor,
        segments: Segments,
        coords: Tensor | None = None,
        keys: Tensor | None = None,
        taps: tuple[int, ...] = (),
        edges: Edges | None = None,
    ) -> Latents:
        """Encode x (T, D), embedded and positioned tokens cut by ``segments``.

        ``coords`` (T, P) are needed by windows, ``edges`` between the T tokens by layout edges,
        ``keys`` (B,) by drop path in training. ``taps`` are block indices (from the end, if
        negative) whose raw outputs (T + B R, D) are returned too, in the blocks' order.
        """
        of_lead = Segments.of_lengths([self.config.lead] * len(segments))
        of_tokens = segments
        lead = self.lead.to(x.dtype).repeat(len(segments), 1)
        x, segments = ragged.join(lead, of_lead, x, of_tokens)
        chosen = self.layouts(of_lead, of_tokens, coords, edges)
        wanted = {tap % self.config.depth for tap in taps}
        kept = []
        for i, block in enumerate(self.blocks):
            x = block(x, chosen[i], segments, keys, i)
            if i in wanted:
                kept.append(x)
        return Latents(self.norm(x), segments, of_lead, of_tokens, tuple(kept))

    def class_attention(self, before: Latents) -> Tensor:
        """(T,) the class token's attention to each token in the last block, averaged over heads,
        with sum 1 in each sample. ``before`` holds what enters that block."""
        if not self.config.cls:
            raise BadConfig("attention of the class token needs one", hint="Set encoder.cls=true.")
        block = cast(Block, self.blocks[-1])
        x = block.norm_1(before.x)
        q, k, _ = block.attention.heads_of(x)
        of_first = Segments.of_lengths([1] * len(before.segments))
        first = ragged.head(q, before.segments, of_first)
        keys = before.tokens(k)
        owner = before.of_tokens.ids(x.device)
        scores = (first[owner] * keys).sum(-1).float() * q.shape[-1] ** -0.5
        return ragged.softmax(scores, before.of_tokens).mean(1)

    def first_attention(
        self, x: Tensor, segments: Segments, queries: Tensor, of_queries: Segments
    ) -> Tensor:
        """(T,) how much attention the ``queries`` (Q,), rows of x (T, D), give each token of their
        sample in the first block, were there no windows, edges and registers: summed over queries,
        averaged over heads. Sums to the number of a sample's queries."""
        block = cast(Block, self.blocks[0])
        q, k, _ = block.attention.heads_of(block.norm_1(x))
        q, found = q[queries], x.new_zeros(len(x), dtype=torch.float32)
        sizes = torch.stack([segments.lengths, of_queries.lengths], 1)
        for length, count in sizes.unique(dim=0).tolist():  # known on the host
            alike = (sizes == torch.tensor([length, count])).all(1)
            asking = _rows(of_queries, alike, count).to(x.device)
            tokens = _rows(segments, alike, length).to(x.device)
            scores = torch.einsum("nqhd,nkhd->nhqk", q[asking], k[tokens]).float()
            share = (scores * q.shape[-1] ** -0.5).softmax(-1)
            found[tokens] = share.mean(1).sum(1)
        return found


def _rows(segments: Segments, which: Tensor, length: int) -> Tensor:
    """(N, length) the packed places of samples that all have this length."""
    return segments.offsets[:-1][which][:, None] + torch.arange(length)
