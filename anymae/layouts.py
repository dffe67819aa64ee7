"""Layouts: who may look at whom among a sample's tokens.

``full`` is the sample itself and ``windows`` cuts each sample into boxes of its own coordinates:
partitions of the packed axis, on which attention is block-diagonal. ``edges`` follows a graph.

Shapes: T tokens, H heads, D numbers a head, P coordinates, E edges, R registers a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.attention import attention
from anymae.kernels.edge_attention import Adjacency, edge_attention
from anymae.kernels.segments import Segments


class Layout(Protocol):
    """Who looks at whom; ``depth`` tells blocks apart where they differ."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, depth: int = 0) -> Tensor:
        """Self-attention, q, k, v (T, H, D): (T, H, D)."""


@dataclass(frozen=True)
class Partition:
    """A partition of T tokens: ``segments`` cuts them after reordering by ``order`` (T,), which
    is None where the packed order already serves."""

    segments: Segments
    order: Tensor | None = None
    inverse: Tensor | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, depth: int = 0) -> Tensor:
        if self.order is None or self.inverse is None:
            return attention(q, k, v, self.segments, self.segments)
        q, k, v = (x.index_select(0, self.order) for x in (q, k, v))
        return attention(q, k, v, self.segments, self.segments).index_select(0, self.inverse)


@dataclass(frozen=True)
class Graph:
    """Tokens read along ``adjacency``, with a ``bias`` (E, blocks, H) added to the scores."""

    adjacency: Adjacency
    bias: Tensor | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, depth: int = 0) -> Tensor:
        bias = None if self.bias is None else self.bias[:, depth]
        return edge_attention(q, k, v, self.adjacency, bias)


def full(segments: Segments) -> Partition:
    """Every token sees its whole sample."""
    return Partition(segments)


def windows(
    coords: Tensor,
    segments: Segments,
    size: Sequence[float | None],
    *,
    shifted: bool,
    lead: int,
) -> Partition:
    """Tokens see the tokens in the same box of ``size`` units along each coordinate (None: of any
    extent).

    ``coords`` (T, P) excludes the ``lead`` registers that precede each sample in ``segments``;
    they form a part of their own and mix with the tokens in full layers. ``shifted`` moves the
    boxes by half their size, so that alternating layers connect neighbours (Liu et al. 2021).
    """
    if len(size) not in (1, coords.shape[1]):
        raise BadConfig(
            "window must have one size, or one per coordinate",
            found=f"{len(size)} sizes",
            expected=f"1 or {coords.shape[1]}",
        )
    sizes = [math.inf if s is None else float(s) for s in size]
    box = torch.tensor(sizes, device=coords.device).expand(coords.shape[1])
    half = torch.where(box.isinf(), 0.0, 0.5) if shifted else torch.zeros_like(box)
    # Below 0, a coordinate over an endless box would be -0, and its floor -1.
    cells = torch.floor(torch.where(box.isinf(), 0.0, coords / box) + half).long()
    within = segments.within(coords.device)
    places = torch.zeros(segments.total, coords.shape[1] + 2, dtype=torch.int64).to(coords.device)
    places[:, 0] = segments.ids(coords.device)
    places[:, 1] = within >= lead
    places[within >= lead, 2:] = cells
    _, part, counts = torch.unique(places, dim=0, return_inverse=True, return_counts=True)
    order = torch.argsort(part, stable=True)
    return Partition(Segments.of_lengths(counts.cpu()), order, torch.argsort(order))


def edges(pairs: Tensor, bias: Tensor | None, of_lead: Segments, of_tokens: Segments) -> Graph:
    """Tokens read the tokens that point at them, and themselves.

    ``pairs`` (2, E) index tokens without the R registers that precede each sample; a register
    reads its sample's tokens and is read by them, like a virtual node (Gilmer et al. 2017).
    ``bias`` (E, blocks, H) is that of ``pairs``; other edges have none.
    """
    device = pairs.device
    joined = Segments(of_lead.offsets + of_tokens.offsets)
    owner = of_tokens.ids(device)
    tokens = torch.arange(of_tokens.total, device=device)
    tokens = tokens + of_lead.offsets[1:].to(device)[owner]
    loops = torch.arange(joined.total, device=device)
    found = [tokens[pairs], torch.stack([loops, loops])]
    for r in range(of_lead.longest):
        lead = joined.offsets[:-1].to(device)[owner] + r
        found += [torch.stack([tokens, lead]), torch.stack([lead, tokens])]
    every = torch.cat(found, 1)
    if bias is not None:
        rest = bias.new_zeros(every.shape[1] - len(bias), *bias.shape[1:])
        bias = torch.cat([bias, rest])
    return Graph(Adjacency(every, joined.total), bias)
