"""Joining and parting packed axes sample by sample.

Equal lengths take a view and one copy; ragged ones a gather.

Shapes: B samples, Ta and Tb packed tokens of two streams, ``...`` any further axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.segments import Segments


def join(a: Tensor, of_a: Segments, b: Tensor, of_b: Segments) -> tuple[Tensor, Segments]:
    """Each sample's rows of ``a`` (Ta, ...) followed by its rows of ``b`` (Tb, ...)."""
    joined = Segments(of_a.offsets + of_b.offsets)
    if of_a.equal is not None and of_b.equal is not None:
        rows_a = a.reshape(len(joined), of_a.equal, *a.shape[1:])
        rows_b = b.reshape(len(joined), of_b.equal, *b.shape[1:])
        return torch.cat([rows_a, rows_b], 1).flatten(0, 1), joined
    order = torch.cat([_rows(of_a, of_b.offsets, a), _rows(of_b, of_a.offsets[1:], b)]).argsort()
    return torch.cat([a, b]).index_select(0, order), joined


def tail(x: Tensor, joined: Segments, of_b: Segments) -> Tensor:
    """The rows that ``join`` took from its second stream: (Tb, ...)."""
    if joined.equal is not None and of_b.equal is not None:
        rows = x.view(len(joined), joined.equal, *x.shape[1:])[:, joined.equal - of_b.equal :]
        return rows.reshape(-1, *x.shape[1:])
    return x.index_select(0, _rows(of_b, (joined.offsets - of_b.offsets)[1:], x))


def head(x: Tensor, joined: Segments, of_a: Segments) -> Tensor:
    """The rows that ``join`` took from its first stream: (Ta, ...)."""
    if joined.equal is not None and of_a.equal is not None:
        rows = x.view(len(joined), joined.equal, *x.shape[1:])[:, : of_a.equal]
        return rows.reshape(-1, *x.shape[1:])
    return x.index_select(0, _rows(of_a, joined.offsets - of_a.offsets, x))


def mean(x: Tensor, segments: Segments) -> Tensor:
    """The mean of each sample's rows, x (T, D): (B, D). Every sample must have rows."""
    if segments.equal is not None:
        return x.view(len(segments), segments.equal, -1).mean(1)
    total = x.new_zeros(len(segments), x.shape[1]).index_add_(0, segments.ids(x.device), x)
    return total / segments.lengths.to(x.device, x.dtype)[:, None]


def maximum(x: Tensor, segments: Segments) -> Tensor:
    """The maximum of each sample's rows, x (T, D): (B, D). Every sample must have rows."""
    if segments.equal is not None:
        return x.view(len(segments), segments.equal, -1).amax(1)
    ids = segments.ids(x.device)[:, None].expand_as(x)
    start = x.new_full((len(segments), x.shape[1]), float("-inf"))
    return start.scatter_reduce(0, ids, x, "amax")


def softmax(x: Tensor, segments: Segments) -> Tensor:
    """Softmax of (T, H) over each sample's rows, column by column."""
    if segments.equal is not None:
        return x.view(len(segments), segments.equal, -1).softmax(1).view(x.shape)
    ids = segments.ids(x.device)
    place = ids[:, None].expand_as(x)
    largest = x.new_full((len(segments), x.shape[1]), float("-inf"))
    largest = largest.scatter_reduce(0, place, x.detach(), "amax")
    weights = (x - largest[ids]).exp()
    return weights / weights.new_zeros(largest.shape).index_add(0, ids, weights)[ids]


def _rows(of: Segments, before: Tensor, like: Tensor) -> Tensor:
    """Places in a joined axis of a stream's rows, ``before[b]`` rows of others preceding them."""
    moved = before[: len(of)].to(like.device)
    return torch.arange(of.total, device=like.device) + moved[of.ids(like.device)]
