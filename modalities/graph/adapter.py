"""The graph adapter: a node is a token, an edge says who may look at whom.

Shapes: n nodes, C columns of features, F numbers a token, E edges, P coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.errors import BadConfig, BadInput
from anymae.kernels.segments import Segments
from anymae.modalities.graph.edges import both_ways, thinned
from anymae.modalities.graph.embedding import NodeEmbedding
from anymae.modalities.graph.encodings import Encoding, encoded
from anymae.modalities.graph.features import Features, Kind
from anymae.modalities.graph.files import EXTENSIONS, read_graph
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.inputs import samples_of
from anymae.modalities.graph.natives import as_graph
from anymae.modalities.graph.neighbourhoods import Neighbourhood, Neighbourhoods
from anymae.modalities.graph.pictures import draw_graph
from anymae.modalities.graph.survey import Survey
from anymae.registry import recipe as recipe_named
from anymae.registry import register
from anymae.tokens import OBSERVED, Edges, Packed, Tokens

SEED = "seed"
"""The ``side`` entry (n,) bool of neighbourhoods: the nodes that a sample is around."""
MOST_DEGREES = 400


@register
class GraphAdapter(Adapter):
    """Graphs as sets of nodes.

    ``attention`` is along the ``edges``, or ``full`` among all nodes of a (small) graph; ``edges``
    needs no position, ``full`` takes one from ``encoding``: ``rwse`` or ``laplacian`` of
    ``encoding_dim`` numbers, or ``none``. ``features`` and ``edge_features`` say how numbers are
    read (see ``Features``; None: the data tell); ``features="degree"`` takes a node's degree
    instead. ``missing``: whether NaN means unknown (None: if there is any). ``undirected`` adds
    the reverse of every edge that lacks it. ``node_attributes`` and ``edge_attributes`` name what
    networkx graphs hold. ``fan_outs`` cuts one large graph into samples of ``seeds`` nodes each
    with at most so many drawn neighbours in each round. Pretraining leaves out a ``drop_edges``
    fraction of the edges and hides a ``feature_dropout`` fraction of the features from the encoder,
    others each time. ``node_code`` and ``edge_code`` are learned.
    """

    name: ClassVar[str] = "graph"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"edges"})

    attention: Literal["edges", "full"] = "edges"
    encoding: Encoding | None = None
    encoding_dim: int = Field(default=16, gt=0)
    features: Kind | None = None
    edge_features: Literal["standardise", "keep", "one-hot", "none"] | None = None
    missing: bool | None = None
    undirected: bool = False
    node_attributes: tuple[str, ...] = ()
    edge_attributes: tuple[str, ...] = ()
    fan_outs: tuple[PositiveInt, ...] | None = None
    seeds: int = Field(default=64, gt=0)
    drop_edges: float = Field(default=0.0, ge=0, lt=1)
    feature_dropout: float = Field(default=0.0, ge=0, lt=1)
    node_code: Features | None = None
    edge_code: Features | None = None

    @property
    def token_dim(self) -> int:
        return self._node_code.dim

    @property
    def coord_dim(self) -> int:
        return 1 if self._encoding == "none" else self.encoding_dim

    @property
    def edge_dim(self) -> int:
        return 0 if self.edge_code is None else self.edge_code.dim

    def example(self, seed: int) -> Graph:
        """A ring of nine nodes with two chords; three features that neighbours share in part."""
        draw = np.random.default_rng(seed)
        ring = np.arange(9)
        one_way = np.stack([ring, (ring + 1) % 9])
        one_way = np.concatenate([one_way, draw.permutation(9)[:4].reshape(2, 2)], 1)
        x = draw.normal(size=(9, 3))
        x = (x + np.roll(x, 1, 0) + np.roll(x, -1, 0)).astype(np.float32)
        return Graph.of(x, np.concatenate([one_way, one_way[::-1]], 1))

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> Sequence[Any] | tuple[Sequence[Any], Any] | None:
        found = samples_of(dataset, self._graph)
        if found is None:
            return None
        samples, labels = found
        if self.fan_outs is not None:
            if len(samples) > 1:
                raise BadConfig(
                    "neighbourhoods are of one large graph", found=f"{len(samples)} graphs",
                    hint="Leave out modality_options fan_outs.",
                )  # fmt: skip
            return Neighbourhoods(self._graph(samples[0]), self.fan_outs, self.seeds)
        return samples if labels is None else (samples, labels)

    def read(self, file: BinaryIO, name: str) -> Graph:
        return read_graph(file, name)

    def fit(self, samples: Iterable[Any]) -> Self:
        nodes = Survey("node features", None if self.features == "degree" else self.features)
        edges = Survey("edge values", None if self.edge_features == "none" else self.edge_features)
        degrees, count, bare = 0, 0, 0
        for graph in map(self._graph, samples):
            degrees = max(degrees, int(graph.in_degrees.max()))
            count, bare = count + 1, bare + (graph.x is None)
            if graph.x is not None and self.features != "degree":
                nodes.add(graph.x)
            if graph.edge_values is not None and self.edge_features != "none":
                edges.add(graph.edge_values)
        if not count:
            raise BadInput("there is no graph to learn from", found="0 samples")
        if bare and (nodes.tables or self.features not in (None, "degree")):
            raise BadInput("some graphs have no node features", found=f"{bare} of {count}")
        node_code = _degree_code(degrees) if bare or self.features == "degree" else None
        edge_code = edges.features(missing=False) if edges.numbers else None
        return self.model_copy(
            update={
                "node_code": self.node_code or node_code or nodes.features(self.missing),
                "edge_code": self.edge_code or edge_code,
            }
        )

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        if isinstance(sample, Neighbourhood):
            sample = sample.redrawn(generator)
        if not self.drop_edges:
            return sample
        graph = self._graph(sample)
        self._coords(graph)  # of the whole graph, before edges are left out of it
        return thinned(graph, self.drop_edges, generator)

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        graphs = [self._graph(sample) for sample in samples]
        raw = torch.cat([self._raw(graph) for graph in graphs]).to(device)
        values, known = self._node_code.encode(raw)
        segments = Segments.of_lengths(graph.nodes for graph in graphs)
        side = {} if known is None else {OBSERVED: known}
        if self.fan_outs is not None:
            side[SEED] = torch.cat([_seeds(s, g) for s, g in zip(samples, graphs, strict=True)])
            side[SEED] = side[SEED].to(device)
        coords = torch.cat([self._coords(graph) for graph in graphs]).to(device)
        return Packed(values, coords, segments, side, edges=self._edges(graphs, segments, device))

    def untokenize(self, tokens: Tokens) -> Graph:
        """The graph in the data's own numbers; what is missing, or hidden, is NaN. Categories are
        floats for its sake; where features are degrees, ``x`` holds them."""
        values = tokens.values.float()
        if OBSERVED in tokens.side:
            values = values.where(tokens.side[OBSERVED], float("nan"))
        edges = tokens.edges or Edges(torch.zeros(2, 0, dtype=torch.int64))
        numbers = None
        if self.edge_code is not None and edges.values is not None:
            numbers = self.edge_code.decode(edges.values)
        return Graph(self._node_code.decode(values), edges.pairs, numbers, len(values))

    def raw_features(self, tokens: Tokens) -> Tensor:
        """The mean and standard deviation of the nodes' numbers, their count, and the mean and
        standard deviation of their degrees."""
        values = tokens.values
        pairs = torch.zeros(2, 0) if tokens.edges is None else tokens.edges.pairs
        degrees = torch.bincount(pairs[1].long(), minlength=len(values)).float()[:, None]
        both = torch.cat([values, degrees], 1)
        count = torch.tensor([float(len(values))])
        return torch.cat([both.mean(0), both.std(0, correction=0), count])

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        chosen: dict[str, Any] = {
            "position": "none" if self._encoding == "none" else "mlp",
            "encoder.layout": self.attention,
            "encoder.cls": False,
        }
        if recipe_named(recipe).target.kind == "content":
            chosen["target.normalise"] = "none"
        if recipe in ("mae", "simmim"):
            chosen |= {"mask.ratio": 0.5, "mask.groups": "each", "training.lr": 1e-3}
            if self.node_code is not None and self.node_code.kind != "standardise":
                chosen |= {"loss": "cosine", "loss.power": 2.0}
        if recipe == "mae" and self.attention == "edges":
            # Nodes without positions can be told apart by their neighbours alone.
            chosen |= {"decoder": "edges", "decoder.depth": 1}
        return chosen

    def embed(self, width: int) -> nn.Module:
        code = self._node_code
        return NodeEmbedding(self.token_dim, width, code.missing, self.feature_dropout)

    # -- pictures ---------------------------------------------------------------------------

    def draw(self, axes: Any, sample: Any) -> None:
        """Nodes coloured by what they hold, hidden ones hollow; see ``draw_graph``."""
        graph = self._graph(sample)
        x = self._raw(graph) if graph.x is None else graph.x
        draw_graph(axes, graph, x, self._node_code)

    # -- details ----------------------------------------------------------------------------

    @property
    def _encoding(self) -> Encoding:
        return self.encoding or ("rwse" if self.attention == "full" else "none")

    @property
    def _node_code(self) -> Features:
        if self.node_code is None:
            raise BadConfig(
                "the graph adapter does not know its features yet",
                hint="Call adapter.fit(samples).",
            )
        return self.node_code

    def _whole(self, sample: Any) -> Graph:
        return as_graph(sample, self.node_attributes, self.edge_attributes)

    def _graph(self, sample: Any) -> Graph:
        graph = sample.graph if isinstance(sample, Neighbourhood) else self._whole(sample)
        return both_ways(graph) if self.undirected else graph

    def _raw(self, graph: Graph) -> Tensor:
        """(n, C) checked features as they came."""
        code = self._node_code
        if code.kind == "degree":
            return graph.in_degrees[:, None]
        if graph.x is None or graph.x.shape[1] != code.columns:
            raise BadInput(
                "not the number of node features that was learned",
                where="node features",
                found=0 if graph.x is None else graph.x.shape[1],
                expected=code.columns,
            )
        if not code.missing and bool(graph.x.isnan().any()):
            node, column = graph.x.isnan().nonzero()[0].tolist()
            raise BadInput(
                "not a number, and none was missing in the data that was learned from",
                where=f"node features, node {node}, column {column}",
                hint="Give modality_options missing=true if NaN means unknown.",
            )
        return graph.x

    def _coords(self, graph: Graph) -> Tensor:
        return encoded(graph, self._encoding, self.encoding_dim)

    def _edges(
        self, graphs: Sequence[Graph], segments: Segments, device: torch.device | str
    ) -> Edges:
        starts = segments.offsets.tolist()
        pairs = torch.cat([g.edges + at for g, at in zip(graphs, starts, strict=False)], 1)
        if self.edge_code is None:
            return Edges(pairs.to(device))
        raw = torch.cat([_edge_raw(graph, self.edge_code) for graph in graphs]).to(device)
        return Edges(pairs.to(device), self.edge_code.encode(raw)[0])


def _degree_code(highest: int) -> Features:
    cap = min(highest, MOST_DEGREES)
    return Features(kind="degree", columns=1, codes=(tuple(range(cap + 1)),))


def _seeds(sample: Any, graph: Graph) -> Tensor:
    """(n,) bool: the first nodes of a neighbourhood; of a whole graph, all."""
    count = len(sample.seeds) if isinstance(sample, Neighbourhood) else graph.nodes
    return torch.arange(graph.nodes) < count


def _edge_raw(graph: Graph, code: Features) -> Tensor:
    """(E, C) checked edge values as they came."""
    values = graph.edge_values
    if not graph.edges.shape[1]:
        return torch.zeros(0, code.columns)
    if values is None or values.shape[1] != code.columns:
        raise BadInput(
            "not the number of edge values that was learned",
            where="edge values",
            found=0 if values is None else values.shape[1],
            expected=code.columns,
        )
    return values
