"""Adjacency: the edges of a graph, and their order by either end.

Shapes: T tokens, E edges.
"""

from __future__ import annotations

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
        self._by_end: dict[int, Csr] = {}

    @property
    def incoming(self) -> Csr:
        """Edges by the token they enter; ``other`` is where they come from."""
        return self._sorted(1)

    @property
    def outgoing(self) -> Csr:
        """Edges by the token they leave; ``other`` is where they lead."""
        return self._sorted(0)

    def _sorted(self, end: int) -> Csr:
        # A dictionary and no cached property: torch.compile cannot trace the lock of the latter.
        if end not in self._by_end:
            ordered, edge = self.pairs[end].sort(stable=True)
            bounds = torch.arange(self.tokens + 1, device=edge.device)
            other = self.pairs[1 - end].index_select(0, edge)
            self._by_end[end] = Csr(torch.searchsorted(ordered, bounds), other, edge)
        return self._by_end[end]
