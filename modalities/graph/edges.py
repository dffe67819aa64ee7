"""Edges: both directions, and fewer of them.

Shapes: n nodes, E directed edges.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anymae.modalities.graph.graph import Graph


def both_ways(graph: Graph) -> Graph:
    """The graph with the reverse, of the same values, of every edge that lacks it."""
    source, to = graph.edges
    lacking = ~torch.isin(to * graph.nodes + source, source * graph.nodes + to)
    if not bool(lacking.any()):
        return graph
    pairs = torch.cat([graph.edges, graph.edges.flip(0)[:, lacking]], 1)
    values = graph.edge_values
    if values is not None:
        values = torch.cat([values, values[lacking]])
    return replace(graph, edges=pairs, edge_values=values, encodings={})


def thinned(graph: Graph, fraction: float, generator: torch.Generator) -> Graph:
    """The graph without a random ``fraction`` of its edges, both directions of an edge together.
    Degrees and encodings stay those of the whole graph."""
    low, high = graph.edges.amin(0), graph.edges.amax(0)
    between, which = torch.unique(low * graph.nodes + high, return_inverse=True)
    kept = (torch.rand(len(between), generator=generator) >= fraction)[which]
    values: Tensor | None = None if graph.edge_values is None else graph.edge_values[kept]
    return replace(graph, edges=graph.edges[:, kept], edge_values=values, degrees=graph.in_degrees)
