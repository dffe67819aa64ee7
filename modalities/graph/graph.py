"""Graph: what every input of the graph modality becomes.

Shapes: n nodes, F features a node, E directed edges, Fe numbers an edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymae.errors import BadInput
from anymae.limits import LIMITS


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph, checked; make it with ``Graph.of``.

    ``x`` (n, F) are node features, None without; ``edges`` (2, E) int64 as (from, to), an
    undirected edge being two; ``edge_values`` (E, Fe), None without; ``y`` labels of the graph or
    of its nodes, which nothing but evaluation looks at. Numbers keep the type they came in.
    """

    x: Tensor | None
    edges: Tensor
    edge_values: Tensor | None
    nodes: int
    y: Any = None
    degrees: Tensor | None = None
    """(n,) edges that enter each node, where the graph is a part of one with more edges."""
    encodings: dict[tuple[str, int], Tensor] = field(default_factory=dict, repr=False)
    """Structural encodings that were asked for once, by kind and dimensions."""

    @property
    def in_degrees(self) -> Tensor:
        """(n,) int64: edges that enter each node."""
        if self.degrees is not None:
            return self.degrees
        return torch.bincount(self.edges[1], minlength=self.nodes)

    @classmethod
    def of(
        cls, x: Any, edges: Any, edge_values: Any = None, y: Any = None, nodes: int | None = None
    ) -> Graph:
        """A graph of arrays or tensors; ``x`` and ``edge_values`` may be vectors.

        ``nodes`` counts the nodes where there is no ``x`` (None: up to the last one with an edge).
        Raises ``BadInput`` naming the field, and the node or edge.
        """
        pairs = _pairs(edges)
        features = None if x is None else _matrix(x, "node features")
        if features is not None:
            nodes = len(features)
        elif nodes is None:
            nodes = int(pairs.max()) + 1 if pairs.numel() else 0
        if nodes < 1:
            raise BadInput("a graph without nodes", found=f"{nodes} nodes", expected="at least one")
        if features is None and nodes > LIMITS.graph_nodes:
            raise BadInput(
                "too many nodes for a graph without node features",
                found=f"{nodes:,}",
                expected=f"at most {LIMITS.graph_nodes:,}",
                hint="Number the nodes from 0 without gaps.",
            )
        _refuse_outside(pairs, nodes)
        values = None if edge_values is None else _matrix(edge_values, "edge values")
        if values is not None and len(values) != pairs.shape[1]:
            raise BadInput(
                "edges and their values differ in number",
                where="edge values",
                found=f"{len(values)} values for {pairs.shape[1]} edges",
            )
        if features is not None and features.dtype.is_floating_point:
            too_large = features.abs() > LIMITS.magnitude  # NaN may say that one is missing
            _refuse(too_large, features, "node features", "node")
        if values is not None and values.dtype.is_floating_point:
            wrong = ~(values.abs() <= LIMITS.magnitude)
            _refuse(wrong, values, "edge values", "edge")
        return cls(features, pairs, values, nodes, y)


def _as_tensor(value: Any, where: str) -> Tensor:
    """A tensor on the CPU, without gradient, of real numbers."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        tensor = value if value.layout == torch.strided else value.to_dense()
    else:
        if hasattr(value, "toarray"):  # scipy's sparse matrices
            value = value.toarray()
        try:
            array = np.asarray(value)
        except ValueError:
            raise BadInput(
                "must be an array", where=where, found="rows of unequal length"
            ) from None
        if array.dtype.kind not in "biuf":
            raise BadInput(
                "must be real numbers",
                where=where,
                found=f"{type(value).__name__} of {array.dtype}",
            )
        array = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
        unsigned = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}
        tensor = torch.from_numpy(array.astype(unsigned.get(array.dtype.name, array.dtype)))
    if tensor.is_complex():
        raise BadInput("must be real numbers", where=where, found=f"{tensor.dtype}")
    return tensor


def _matrix(value: Any, where: str) -> Tensor:
    tensor = _as_tensor(value, where)
    if tensor.ndim == 1:
        tensor = tensor[:, None]
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise BadInput(
            "must be a matrix", where=where, found=f"shape {tuple(tensor.shape)}",
            expected="a row for each node or edge",
        )  # fmt: skip
    return tensor


def _pairs(value: Any) -> Tensor:
    pairs = _as_tensor(value, "edges")
    if pairs.numel() == 0:
        return torch.zeros(2, 0, dtype=torch.int64)
    if pairs.ndim != 2 or pairs.shape[0] != 2:
        raise BadInput(
            "edges must be pairs of node numbers",
            where="edges",
            found=f"shape {tuple(pairs.shape)}",
            expected="(2, edges): a row of sources, a row of targets",
            hint="Pass edges.T." if pairs.ndim == 2 and pairs.shape[1] == 2 else None,
        )
    if pairs.dtype.is_floating_point or pairs.dtype == torch.bool:
        raise BadInput("edges must be integers", where="edges", found=f"{pairs.dtype}")
    return pairs.long()


def _refuse_outside(pairs: Tensor, nodes: int) -> None:
    outside = ((pairs < 0) | (pairs >= nodes)).any(0)
    if bool(outside.any()):
        first = int(outside.nonzero()[0])
        raise BadInput(
            "an edge names a node that is not there",
            where=f"edge {first}",
            found=f"{int(pairs[0, first])} to {int(pairs[1, first])}",
            expected=f"nodes 0 to {nodes - 1}",
        )


def _refuse(wrong: Tensor, values: Tensor, where: str, row: str) -> None:
    if bool(wrong.any()):
        i, j = wrong.nonzero()[0].tolist()
        raise BadInput(
            "must be finite",
            where=f"{where}, {row} {i}, column {j}",
            found=f"{values[i, j]:g}",
            expected=f"numbers up to {LIMITS.magnitude:g}",
        )
