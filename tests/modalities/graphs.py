"""Random graphs and adapters fitted to them, for the tests of the graph adapter."""

import numpy as np

from anymae.modalities.graph.adapter import GraphAdapter
from anymae.modalities.graph.graph import Graph


def graphs(count: int = 4, features: int = 3, seed: int = 0, edge_numbers: int = 0) -> list[Graph]:
    """Connected graphs of 3 to 9 nodes with real numbers at nodes and edges."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        n = int(draw.integers(3, 10))
        chain = np.stack([np.arange(n - 1), np.arange(1, n)])
        more = draw.integers(0, n, (2, n // 2))
        one_way = np.unique(np.concatenate([chain, more[:, more[0] < more[1]]], 1), axis=1)
        edges = np.concatenate([one_way, one_way[::-1]], 1)
        values = None
        if edge_numbers:
            values = np.tile(draw.normal(5, 3, (one_way.shape[1], edge_numbers)), (2, 1))
        x = draw.normal(10, 4, (n, features)) if features else None
        found.append(Graph.of(x, edges, values, nodes=n))
    return found


def fitted(samples: list, **options) -> GraphAdapter:
    return GraphAdapter(**options).fit(samples)
