"""Adjacency: the edges of a graph, and their order by either end.

Shapes: T tokens, E edges.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class Csr(NamedTuple):
    """Edges sorted by one end (compressed sparse rows), all int64 on the edges' device.

    Those of token i stand at ``start[i] : start[i + 1]``, in the order they were given in;
    ``other`` is their other end and ``edge`` their place among the edges as given.
    """

    start: Tensor
    """(T + 1,)"""
    other: Tensor
    """(E,)"""
    edge: Tensor
    """(E,)"""


class Adjacency:
    """Edges ``pairs`` (2, E) int64 as (from, to), among ``tokens`` T tokens.

    Kernels read edges token by token; the orders are computed when first asked for and kept, so
    that all blocks of a network share them.
    """

    def __init__(self, pairs: Tensor, tokens: int) -> None:
        self.pairs = pairs
        self.tokens = tokens

    @cached_property
    def incoming(self) -> Csr:
        """Edges by the token they enter; ``other`` is where they come from."""
        return _sorted(self.pairs[1], self.pairs[0], self.tokens)

    @cached_property
    def outgoing(self) -> Csr:
        """Edges by the token they leave; ``other`` is where they lead."""
        return _sorted(self.pairs[0], self.pairs[1], self.tokens)


def _sorted(by: Tensor, other: Tensor, tokens: int) -> Csr:
    ordered, edge = by.sort(stable=True)
    bounds = torch.arange(tokens + 1, device=by.device)
    return Csr(torch.searchsorted(ordered, bounds), other.index_select(0, edge), edge)
