"""Neighbourhoods: a graph too large for one step, as samples around some of its nodes each.

Shapes: n nodes, E edges, S seed nodes, m nodes of a neighbourhood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anymae import draws
from anymae.modalities.graph.graph import Graph

Ids = NDArray[np.int64]


class LargeGraph:
    """A graph with its edges sorted by the node they enter."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        source, to = graph.edges.numpy()
        self.order = np.argsort(to, kind="stable")
        self.sources = source[self.order]
        self.starts = np.concatenate([[0], np.bincount(to, minlength=graph.nodes).cumsum()])

    def entering(self, nodes: Ids) -> tuple[Ids, Ids]:
        """The places, in ``order``, of all edges that enter ``nodes`` (m,), and whom each enters,
        as places in ``nodes``."""
        counts = self.starts[nodes + 1] - self.starts[nodes]
        owner = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(owner)) - np.repeat(counts.cumsum() - counts, counts)
        return self.starts[nodes][owner] + within, owner

    def around(self, seeds: Ids, fan_outs: Sequence[int], draw: np.random.Generator) -> Ids:
        """The seeds, then the nodes drawn around them: for every node that is new in a round, at
        most as many of its neighbours as ``fan_outs`` says for that round, all equally likely."""
        nodes = new = seeds
        for most in fan_outs:
            edges, owner = self.entering(new)
            order = np.lexsort((draw.random(len(edges)), owner))
            first = np.searchsorted(owner[order], owner[order])
            chosen = self.sources[edges[order][np.arange(len(order)) - first < most]]
            new = np.setdiff1d(chosen, nodes)
            nodes = np.concatenate([nodes, new])
        return nodes

    def among(self, nodes: Ids) -> Graph:
        """The nodes (m,) in this order with every edge among them."""
        edges, owner = self.entering(nodes)
        place = np.full(self.graph.nodes, -1)
        place[nodes] = np.arange(len(nodes))
        source = place[self.sources[edges]]
        kept = source >= 0
        pairs = torch.from_numpy(np.stack([source[kept], owner[kept]]))
        whole = self.graph
        values = whole.edge_values
        if values is not None:
            values = values[torch.from_numpy(self.order[edges[kept]])]
        x = None if whole.x is None else whole.x[torch.from_numpy(nodes)]
        degrees = whole.in_degrees[torch.from_numpy(nodes)]
        return Graph(x, pairs, values, len(nodes), degrees=degrees)


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The nodes around ``seeds`` (S,) of a large graph; which ones is a function of ``key``."""

    whole: LargeGraph
    seeds: Ids
    fan_outs: tuple[int, ...]
    key: int

    @cached_property
    def graph(self) -> Graph:
        """Its nodes, the seeds first, and all edges among them."""
        draw = np.random.default_rng(self.key & (2**63 - 1))
        return self.whole.among(self.whole.around(self.seeds, self.fan_outs, draw))

    def redrawn(self, generator: torch.Generator) -> Neighbourhood:
        """Other neighbours of the same seeds."""
        key = int(torch.randint(2**62, (), generator=generator))
        return replace(self, key=key)


class Neighbourhoods(Sequence[Neighbourhood]):
    """A large graph as samples of ``seeds`` consecutive nodes each, with what is around them
    (ShaDow, Zeng et al. 2021): sample i is a function of ``seed`` and i."""

    def __init__(self, graph: Graph, fan_outs: tuple[int, ...], seeds: int, seed: int = 0) -> None:
        self.whole = LargeGraph(graph)
        self.fan_outs, self.seeds, self.seed = fan_outs, seeds, seed

    def __len__(self) -> int:
        return math.ceil(self.whole.graph.nodes / self.seeds)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"neighbourhood {index} of {len(self)}")
        stop = min((index + 1) * self.seeds, self.whole.graph.nodes)
        seeds = np.arange(index * self.seeds, stop)
        key = draws.key(self.seed, index, "neighbourhood")
        return Neighbourhood(self.whole, seeds, self.fan_outs, key)
