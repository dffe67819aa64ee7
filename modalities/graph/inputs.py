"""What the adapter takes as a data set of its own, as samples and labels.

Shapes: n graphs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from anymae.modalities.graph.files import read_graph
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.molecules import Molecules, are_smiles
from anymae.modalities.graph.natives import is_graph, is_network, label_of

Found = tuple[Sequence[Any], Sequence[Any] | None]


def samples_of(dataset: Any, convert: Callable[[Any], Graph]) -> Found | None:
    """Samples, and their labels if all carry one; None for what is not graphs.

    One graph is one sample. Lists, PyG's batches and its data sets in memory are many; labels of
    data sets that read each graph from disk are left to whoever asks for them.
    """
    if isinstance(dataset, (str, os.PathLike)):
        return _file(os.fspath(dataset))
    if are_smiles(dataset):
        return Molecules(dataset), None
    if hasattr(dataset, "to_data_list") and hasattr(dataset, "num_graphs"):
        return _many(dataset.to_data_list())
    if is_graph(dataset) and not _holds_graphs(dataset):
        graph = convert(dataset)
        return [graph], None if graph.y is None else [label_of(graph)]
    if isinstance(dataset, tuple) and len(dataset) == 2 and is_graph(dataset[0]):
        return _with_labels(convert(dataset[0]), dataset[1])
    if isinstance(dataset, (list, tuple)):
        graphs = len(dataset) > 0 and all(is_graph(item) for item in dataset)
        return _many(dataset) if graphs else None
    return _many(dataset) if _holds_graphs(dataset) else None


def _file(path: str) -> Found | None:
    if not (path.lower().endswith(".npz") and os.path.isfile(path)):
        return None
    with open(path, "rb") as file:
        graph = read_graph(file, path)
    return [graph], None if graph.y is None else [label_of(graph)]


def _with_labels(graph: Graph, labels: Any) -> Found | None:
    """(graph, one label a node); anything else is not for us."""
    counted = hasattr(labels, "__len__") and not is_graph(labels)
    return ([graph], [labels]) if counted and len(labels) == graph.nodes > 1 else None


def _holds_graphs(dataset: Any) -> bool:
    """Whether this is a PyG data set: a networkx graph, and ``Data``, have [] and len() too."""
    if is_network(dataset) or not (hasattr(dataset, "get") and hasattr(dataset, "indices")):
        return False
    return len(dataset) > 0 and is_graph(dataset[0])


def _many(graphs: Sequence[Any]) -> Found:
    if not isinstance(graphs, (list, tuple)) and not hasattr(graphs, "slices"):
        return graphs, None
    labels = [label_of(graphs[i]) for i in range(len(graphs))]
    return graphs, None if any(label is None for label in labels) else labels
