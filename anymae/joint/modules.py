"""Modules of joint models: each stream's own, applied to its own tokens.

Shapes: T tokens, S streams, D width, F numbers of the widest stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymae.joint.streams import Stream
from anymae.tokens import Packed


def by_stream(
    streams: Sequence[Stream], coords: Tensor, answer: Callable[[Stream, Tensor], Tensor]
) -> Tensor:
    """Each stream's ``answer(stream, rows)`` for its tokens, put back in packed order. Streams
    without tokens are asked too, so that every parameter has a gradient."""
    rows = [stream.rows(coords) for stream in streams]
    answers = [answer(stream, own) for stream, own in zip(streams, rows, strict=True)]
    wide = max(one.shape[1] for one in answers)
    filled = [F.pad(one, (0, wide - one.shape[1])) for one in answers]
    return torch.cat(filled).index_select(0, torch.cat(rows).argsort())


class JointEmbedding(nn.Module):
    """Each stream's embedding plus a learned vector for the stream: (T, D)."""

    def __init__(self, streams: Sequence[Stream], width: int) -> None:
        super().__init__()
        self.streams = tuple(streams)
        self.parts = nn.ModuleList(stream.adapter.embed(width) for stream in streams)
        self.kind = nn.Parameter(torch.empty(len(self.streams), width))
        nn.init.normal_(self.kind, std=0.02)

    def forward(self, visible: Packed) -> Tensor:
        return by_stream(
            self.streams,
            visible.coords,
            lambda stream, rows: (
                self.parts[stream.place](stream.of(visible, rows)) + self.kind[stream.place]
            ),
        )


class JointPlaces(nn.Module):
    """Each stream's positions from its own coordinates: (T, D)."""

    def __init__(self, streams: Sequence[Stream], parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.streams = tuple(streams)
        self.parts = nn.ModuleList(parts)

    def forward(self, coords: Tensor) -> Tensor:
        return by_stream(
            self.streams,
            coords,
            lambda stream, rows: self.parts[stream.place](stream.own_coords(coords[rows])),
        )


class JointHead(nn.Module):
    """Each stream's head: (A, F), filled up where a stream is narrower."""

    def __init__(self, streams: Sequence[Stream], width: int, out: int) -> None:
        super().__init__()
        self.streams = tuple(streams)
        self.out = out
        self.parts = nn.ModuleList(s.adapter.head(width, s.adapter.token_dim) for s in streams)

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        answer = by_stream(
            self.streams,
            coords,
            lambda stream, rows: self.parts[stream.place](x[rows], stream.own_coords(coords[rows])),
        )
        return F.pad(answer, (0, self.out - answer.shape[1]))
