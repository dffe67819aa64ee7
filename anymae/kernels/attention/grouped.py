"""Attention over ragged samples on a CPU: samples of similar length share one dense call.

Short samples are sorted by length and gathered into groups padded by at most a quarter (padding
exists inside this file only and is masked exactly); long ones are computed alone, where a call
costs little beside its arithmetic.

Shapes: Tq and Tk packed query and key tokens, H heads, D numbers a head, G samples in a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from anymae.kernels.segments import Segments

LONG = 192
"""Queries or keys from which a sample is computed alone."""
SLACK = 1.25
"""Longest over shortest length inside a group."""


def attention(
    q: Tensor, k: Tensor, v: Tensor, queries: Segments, keys: Segments, dense: Callable[..., Tensor]
) -> Tensor:
    """As ``reference.attention``, with ``dense`` (see ``dense.py``) doing the arithmetic."""
    pieces, places = [], []
    for group in _groups(queries.lengths.tolist(), keys.lengths.tolist()):
        rows, real = _gather_index(queries, group)
        columns, there = _gather_index(keys, group)
        bias = None
        if not bool(there.all()):
            bias = torch.zeros(there.shape, dtype=q.dtype).masked_fill_(~there, float("-inf"))
            bias = bias[:, None].to(q.device)
        rows_d, columns_d = rows.to(q.device), columns.to(q.device)
        mixed = dense(_take(q, rows_d), _take(k, columns_d), _take(v, columns_d), bias)
        keep = real.flatten().nonzero()[:, 0].to(q.device)
        pieces.append(mixed.reshape(-1, *q.shape[1:]).index_select(0, keep))
        places.append(rows_d.flatten().index_select(0, keep))
    if not places:  # nobody asks: an empty answer that gradients still reach
        return q[:0] + k[:0] + v[:0]
    order = torch.cat(places).argsort()
    return torch.cat(pieces).index_select(0, order)


def _groups(query_lengths: list[int], key_lengths: list[int]) -> Iterator[list[int]]:
    """Lists of sample indices that share a dense call."""
    pairs = list(zip(query_lengths, key_lengths, strict=True))
    group: list[int] = []
    for b in sorted((i for i, (lq, _) in enumerate(pairs) if lq), key=lambda i: pairs[i]):
        if group and not _fits(pairs[group[0]], pairs[b]):
            yield group
            group = []
        group.append(b)
    if group:
        yield group


def _fits(first: tuple[int, int], new: tuple[int, int]) -> bool:
    if first == new:
        return True
    if max(new) > LONG:
        return False
    return all(max(a, b) <= SLACK * min(a, b) for a, b in zip(first, new, strict=True))


def _gather_index(segments: Segments, group: list[int]) -> tuple[Tensor, Tensor]:
    """(G, L) packed indices of the group's tokens and which of them are real; padding points at
    the sample's first token, so that it gathers finite numbers."""
    starts = segments.offsets[group]
    lengths = segments.lengths[group]
    steps = torch.arange(int(lengths.max()))
    real = steps[None] < lengths[:, None]
    return starts[:, None] + steps[None] * real, real


def _take(x: Tensor, index: Tensor) -> Tensor:
    """(T, H, D) at (G, L) gives (G, L, H, D)."""
    return x.index_select(0, index.flatten()).view(*index.shape, *x.shape[1:])
