"""Structural encodings: where a node is in its graph, as coordinates.

Both look at the whole graph, whatever is masked: they show where edges are, never what nodes hold.

Shapes: n nodes, E edges, k dimensions.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor

from anymae.errors import BadInput
from anymae.modalities.graph.graph import Graph

Encoding = Literal["none", "rwse", "laplacian"]
MOST_EIGENVECTOR_NODES: Final = 5000
MOST_WALK_STEPS: Final = 10**11
"""Nodes times edges times walk lengths: about a minute."""
_CHUNK: Final = 2**23
"""Edges times walks that are followed at once: 32 MB."""


def encoded(graph: Graph, kind: Encoding, dim: int) -> Tensor:
    """(n, k) float32, kept with the graph; ``none``: (n, 1) zeros. Raises ``BadInput`` for graphs
    that are too large."""
    if kind == "none":
        return torch.zeros(graph.nodes, 1)
    if (kind, dim) not in graph.encodings:
        graph.encodings[kind, dim] = _MAKERS[kind](graph, dim)
    return graph.encodings[kind, dim]


def walks(graph: Graph, dim: int) -> Tensor:
    """The probabilities that a random walk is back after 1 to k steps (RWSE, Dwivedi et al. 2022):
    the diagonals of the powers of the transition matrix."""
    if graph.nodes * max(graph.edges.shape[1], 1) * dim > MOST_WALK_STEPS:
        raise _too_large(graph, "rwse")
    source = graph.edges[0]
    share = 1.0 / torch.bincount(source, minlength=graph.nodes)[source]
    chunk = max(1, min(graph.nodes, _CHUNK // max(1, len(source))))
    return torch.cat(
        [
            _back(torch.arange(start, min(start + chunk, graph.nodes)), graph, share, dim)
            for start in range(0, graph.nodes, chunk)
        ]
    )


def _back(nodes: Tensor, graph: Graph, share: Tensor, dim: int) -> Tensor:
    """(m, k) for walks from m nodes; each step along an edge has the probability ``share`` (E,)."""
    source, to = graph.edges
    columns = torch.arange(len(nodes))
    where = torch.zeros(graph.nodes, len(nodes))
    where[nodes, columns] = 1.0
    back = []
    for _ in range(dim):
        moving = where.index_select(0, source) * share[:, None]
        where = torch.zeros_like(where).index_add_(0, to, moving)
        back.append(where[nodes, columns])
    return torch.stack(back, 1)


def eigenvectors(graph: Graph, dim: int) -> Tensor:
    """The eigenvectors of the normalised Laplacian with the k smallest eigenvalues after the first,
    edges taken as undirected, times the root of n; 0 where a graph has fewer.

    A vector and its negative are equally right: the entry of largest magnitude is made positive.
    """
    if graph.nodes > MOST_EIGENVECTOR_NODES:
        raise _too_large(graph, "laplacian")
    joined = torch.zeros(graph.nodes, graph.nodes, dtype=torch.float64)
    joined[graph.edges[0], graph.edges[1]] = 1.0
    joined = torch.maximum(joined, joined.T)
    scale = joined.sum(1).clamp(min=1).rsqrt()
    laplacian = torch.eye(graph.nodes, dtype=torch.float64) - scale[:, None] * joined * scale
    vectors = torch.linalg.eigh(laplacian).eigenvectors[:, 1 : dim + 1]
    if vectors.shape[1]:
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors = vectors * largest.sign() * graph.nodes**0.5
    return torch.nn.functional.pad(vectors, (0, dim - vectors.shape[1])).float()


_MAKERS = {"rwse": walks, "laplacian": eigenvectors}


def _too_large(graph: Graph, kind: str) -> BadInput:
    return BadInput(
        f"the graph is too large for encoding={kind}",
        found=f"{graph.nodes:,} nodes, {graph.edges.shape[1]:,} edges",
        hint="Use modality_options encoding=none, or neighbourhoods.",
    )
