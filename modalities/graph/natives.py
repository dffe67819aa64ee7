"""Other libraries' graphs as ``Graph``: PyG, networkx, dictionaries. None of them is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from anymae.errors import BadInput
from anymae.modalities.graph.graph import Graph

EDGE_KEYS = ("edges", "edge_index")
EDGE_VALUE_KEYS = ("edge_values", "edge_attr")


def is_graph(value: Any) -> bool:
    """Whether ``as_graph`` knows what a value is."""
    if isinstance(value, Graph):
        return True
    if isinstance(value, Mapping):
        return any(key in value for key in EDGE_KEYS)
    return is_network(value) or hasattr(value, "edge_index") or hasattr(value, "edge_index_dict")


def is_network(value: Any) -> bool:
    """Whether a value is a networkx graph."""
    return all(hasattr(value, name) for name in ("nodes", "edges", "is_directed", "is_multigraph"))


def as_graph(
    sample: Any,
    node_attributes: Sequence[str] | None = None,
    edge_attributes: Sequence[str] | None = None,
) -> Graph:
    """A ``Graph`` from one, a dictionary, PyG's ``Data`` or a networkx graph.

    Dictionaries hold ``edges`` (or ``edge_index``) and may hold ``x``, ``edge_values`` (or
    ``edge_attr``), ``y`` and ``num_nodes``. The attributes are those that networkx nodes and edges
    keep their numbers under. Raises ``BadInput``.
    """
    if isinstance(sample, Graph):
        return sample
    if isinstance(sample, Mapping):
        return _of_mapping(sample)
    if is_network(sample):
        return _of_network(sample, node_attributes or (), edge_attributes or ())
    if hasattr(sample, "edge_index_dict"):
        raise BadInput(
            "graphs with several kinds of nodes are not read", found=type(sample).__name__,
            hint="Use .to_homogeneous().",
        )  # fmt: skip
    if hasattr(sample, "edge_index"):
        return _of_data(sample)
    raise BadInput(
        "not a graph",
        found=f"{type(sample).__module__}.{type(sample).__qualname__}",
        expected="a dictionary with 'x' and 'edges', PyG's Data, or a networkx graph",
    )


def label_of(sample: Any) -> Any:
    """The label that a graph carries: a number, one a node, or None."""
    y = sample.get("y") if isinstance(sample, Mapping) else getattr(sample, "y", None)
    if isinstance(y, torch.Tensor):
        y = y.detach().cpu().numpy()
    if isinstance(y, np.ndarray):
        if y.size == 1:
            return y.item()
        return y[0] if y.ndim == 2 and len(y) == 1 else y  # PyG keeps a graph's labels as (1, k)
    return y


def _of_mapping(sample: Mapping[str, Any]) -> Graph:
    edges = next((sample[key] for key in EDGE_KEYS if key in sample), None)
    if edges is None:
        raise BadInput(
            "a graph needs its edges", found=f"keys {sorted(map(str, sample))}", expected="'edges'"
        )
    values = next((sample[key] for key in EDGE_VALUE_KEYS if key in sample), None)
    return Graph.of(sample.get("x"), edges, values, sample.get("y"), _count(sample))


def _count(sample: Mapping[str, Any]) -> int | None:
    nodes = sample.get("num_nodes")
    if nodes is None:
        return None
    count = np.asarray(nodes)
    if count.dtype.kind not in "iu" or count.size != 1:
        raise BadInput("must be a whole number", where="num_nodes", found=repr(nodes)[:80])
    return int(count.item())


def _of_data(data: Any) -> Graph:
    if data.edge_index is None:
        raise BadInput(
            "the graph has no edge_index", found=f"{data!r:.100}",
            hint="Graphs without edges have an edge_index of shape (2, 0).",
        )  # fmt: skip
    nodes = getattr(data, "num_nodes", None)
    return Graph.of(
        getattr(data, "x", None), data.edge_index, getattr(data, "edge_attr", None),
        getattr(data, "y", None), nodes,
    )  # fmt: skip


def _of_network(network: Any, of_nodes: Sequence[str], of_edges: Sequence[str]) -> Graph:
    """Nodes in the network's order; an undirected edge becomes two (a loop one)."""
    place = {node: i for i, node in enumerate(network.nodes)}
    found = list(network.edges(data=True))
    pairs = np.array([(place[a], place[b]) for a, b, _ in found], dtype=np.int64).reshape(-1, 2)
    x = _table(((f"node {n!r}", d) for n, d in network.nodes(data=True)), of_nodes)
    values = _table(((f"edge {a!r} to {b!r}", d) for a, b, d in found), of_edges)
    if not network.is_directed():
        back = pairs[:, 0] != pairs[:, 1]
        pairs = np.concatenate([pairs, pairs[back, ::-1]])
        values = None if values is None else np.concatenate([values, values[back]])
    return Graph.of(x, pairs.T, values, network.graph.get("y"), len(place))


def _table(rows: Any, names: Sequence[str]) -> np.ndarray | None:
    """(rows, numbers) of named attributes, each a number or a vector of numbers."""
    if not names:
        return None
    table = []
    for where, attributes in rows:
        for name in names:
            if name not in attributes:
                raise BadInput(f"no attribute {name!r}", where=where, found=f"{sorted(attributes)}")
        try:
            table.append(np.concatenate([np.atleast_1d(_number(attributes[n])) for n in names]))
        except (ValueError, TypeError):
            raise BadInput(
                "attributes must be numbers or vectors of numbers",
                where=where,
                found=f"{ {n: attributes[n] for n in names} }",
                hint="Give words numbers first: whole numbers are read as categories.",
            ) from None
    if len({len(row) for row in table}) > 1:
        raise BadInput("attributes differ in length from one node or edge to the next")
    return np.stack(table) if table else None


def _number(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError
    return array
