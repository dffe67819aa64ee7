"""An epoch of GraphMAE on a graph of Cora's size, beside the authors' set-up in torch-geometric.

Not the same model: ours is the encoder of ``quality/cora.py``, attention along edges in transformer
blocks of width 128, and what each reaches on Cora stands there and in the paper."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from anymae.benchmarks.peers import graphmae
from anymae.benchmarks.quality.cora import ENCODER, OPTIONS, SETTINGS
from anymae.benchmarks.speed.contest import Contest, Entrant, Step
from anymae.benchmarks.speed.kernels import CITATIONS, citations
from anymae.benchmarks.speed.ours import training_step
from anymae.modalities.graph.adapter import GraphAdapter
from anymae.modalities.graph.graph import Graph
from anymae.precision import Precision

FEATURES, FILLED = 1433, 0.013


THEIRS = "torch-geometric fp32"


def graph() -> tuple[Tensor, Tensor]:
    """Features (nodes, 1433), rows of length one as sparse as Cora's words, and edges."""
    nodes, edges = citations()
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(nodes, FEATURES, generator=draw) < FILLED).float()
    return x / x.norm(dim=1, keepdim=True).clamp(min=1), edges


def ours(precision: Precision, device: torch.device) -> Step:
    """The ``graphmae`` recipe as ``quality/cora.py`` runs it."""
    x, edges = graph()
    sample = Graph.of(x.numpy(), edges.numpy())
    adapter = GraphAdapter(**OPTIONS).fit([sample])
    settings = {**adapter.numbers("graphmae"), **SETTINGS}
    chosen = {k: v for k, v in settings.items() if not k.startswith("encoder.")}
    return training_step(adapter, [sample], ENCODER, precision, device, "graphmae", **chosen)


def theirs(precision: Precision, device: torch.device) -> Step:
    """The authors' set-up in torch-geometric."""
    return graphmae.training_step(*graph(), precision, device)


CONTESTS = (
    Contest(
        "graph",
        f"one graph of {CITATIONS[0]} nodes with {FEATURES} features, an epoch; ours "
        f"{ENCODER.width} x {ENCODER.depth}, theirs GAT 512 x 2",
        "epochs",
        1,
        {
            "anymae fp32": Entrant(partial(ours, "fp32"), "fp32", (THEIRS,)),
            "anymae bf16": Entrant(partial(ours, "bf16"), "bf16", (THEIRS,)),
            THEIRS: Entrant(partial(theirs, "fp32"), "fp32", peer="torch-geometric"),
        },
    ),
)
