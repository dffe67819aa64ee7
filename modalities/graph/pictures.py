"""Pictures of graphs: nodes in a spring layout, coloured by what they hold.

Shapes: n nodes, E edges.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymae.modalities.graph.features import Features
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.neighbourhoods import LargeGraph

MOST_NODES: Final = 120
_HIDDEN: Final = "#ffffff"
_LINE: Final = "#aab2bd"


def draw_graph(axes: Any, graph: Graph, x: Tensor, features: Features) -> None:
    """Nodes coloured by ``x`` (n, C): categories each their own colour, quantities on one scale
    that is the same in every picture; those with a missing number are hollow. Of a larger graph,
    the nodes nearest to its most connected one.
    """
    from matplotlib import colormaps

    graph, x = _part(graph, x)
    places = spring_layout(graph)
    for a, b in graph.edges.T.tolist():
        if a < b or graph.edges.shape[1] < 2:
            axes.plot(*places[[a, b]].T, color=_LINE, linewidth=0.6, zorder=1)
    level = levels(x, features)
    known = np.isfinite(level)
    table = colormaps["tab20" if features.codes else "viridis"]
    colours = [table(v) if k else _HIDDEN for v, k in zip(level, known, strict=True)]
    size = float(np.clip(900 / graph.nodes, 6, 60))
    edge = [_LINE if k else "#3a424e" for k in known]
    axes.scatter(*places.T, s=size, c=colours, edgecolors=edge, linewidths=0.6, zorder=2)
    axes.margins(0.08)
    axes.set_aspect("equal")
    axes.set_axis_off()


def levels(x: Tensor, features: Features) -> NDArray[np.float64]:
    """(n,) where on a colour scale a node lies, 0 to 1, NaN where anything of it is missing."""
    if features.codes:
        codes = torch.tensor(features.codes[0])
        place = torch.searchsorted(codes, x[:, 0].nan_to_num().long())
        level = (place % 20 + 0.5) / 20
    else:
        # One direction through all columns: alike nodes have alike colours, the same every time.
        values, _ = features.model_copy(update={"missing": True}).encode(x)
        columns = torch.arange(values.shape[1])
        direction = torch.cos(2.4 * columns) if values.shape[1] > 1 else torch.ones(1)
        along = (values.double() @ direction.double()) / direction.norm()
        level = torch.sigmoid(2 * along)
    return level.double().where(~x.isnan().any(1), float("nan")).numpy()


def spring_layout(graph: Graph, rounds: int = 150) -> NDArray[np.float64]:
    """(n, 2) places where edges are short and nodes apart (Fruchterman and Reingold 1991), from a
    circle in the order of the nodes; a function of the graph."""
    n = graph.nodes
    turn = 2 * np.pi * np.arange(n) / n
    places = np.stack([np.cos(turn), np.sin(turn)], 1) * (1 + 0.1 * np.cos(7 * turn))[:, None]
    joined = np.zeros((n, n))
    joined[graph.edges[0].numpy(), graph.edges[1].numpy()] = 1
    joined = np.maximum(joined, joined.T)
    wanted = 1.6 / np.sqrt(n)
    for heat in np.linspace(0.2, 0.004, rounds):
        apart = places[:, None] - places[None]
        distance = np.sqrt((apart**2).sum(-1)).clip(1e-3)
        push = (wanted / distance) ** 2 - joined * distance / wanted
        force = (apart * push[..., None]).sum(1) - 0.3 * places
        length = np.sqrt((force**2).sum(1, keepdims=True)).clip(1e-9)
        places = places + force / length * np.minimum(length, heat)
    return places


def _part(graph: Graph, x: Tensor) -> tuple[Graph, Tensor]:
    """At most ``MOST_NODES`` nodes: those nearest to the one most edges enter."""
    if graph.nodes <= MOST_NODES:
        return graph, x
    whole = LargeGraph(graph)
    nodes = new = np.array([int(graph.in_degrees.argmax())])
    while len(new) and len(nodes) < MOST_NODES:
        new = np.setdiff1d(whole.sources[whole.entering(new)[0]], nodes)
        nodes = np.concatenate([nodes, new])
    nodes = nodes[:MOST_NODES]
    return whole.among(nodes), x[torch.from_numpy(nodes)]
