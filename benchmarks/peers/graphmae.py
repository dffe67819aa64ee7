"""GraphMAE as its authors set it up for Cora, in torch-geometric: one epoch on a whole graph.

Two GAT layers of width 512 with 4 heads, PReLU between, feature dropout 0.2, attention dropout 0.1;
half of the nodes masked by a learned vector (a twentieth of these take another node's features
instead); a linear map, masked nodes zeroed again, a GAT decoder of one head; scaled cosine error,
power 3 (Hou et al., KDD 2022). torch-geometric has no GraphMAE of its own: this is its building
blocks put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymae.benchmarks.peers.steps import stepping
from anymae.precision import Precision

WIDTH, HEADS, RATIO, REPLACED, POWER = 512, 4, 0.5, 0.05, 3.0


class GraphMae(nn.Module):
    """The model, for nodes of ``features`` numbers."""

    def __init__(self, features: int) -> None:
        from torch_geometric.nn import GATConv

        super().__init__()
        each = WIDTH // HEADS
        self.first = GATConv(features, each, HEADS, dropout=0.1)
        self.second = GATConv(WIDTH, each, HEADS, dropout=0.1)
        self.bend = nn.PReLU()
        self.mask_token = nn.Parameter(torch.zeros(features))
        self.between = nn.Linear(WIDTH, WIDTH, bias=False)
        self.decoder = GATConv(WIDTH, features, 1, dropout=0.1)

    def loss(self, x: Tensor, edges: Tensor) -> Tensor:
        """Scaled cosine error of masked nodes."""
        nodes = len(x)
        masked = torch.randperm(nodes, device=x.device)[: int(RATIO * nodes)]
        swapped = masked[: int(REPLACED * len(masked))]
        spoiled = x.clone()
        spoiled[masked] = self.mask_token
        spoiled[swapped] = x[torch.randint(nodes, (len(swapped),), device=x.device)]
        hidden = self.bend(self.first(F.dropout(spoiled, 0.2), edges))
        encoded = self.between(self.second(F.dropout(hidden, 0.2), edges))
        seen = torch.ones(nodes, 1, device=x.device)
        seen[masked] = 0
        rebuilt = self.decoder(encoded * seen, edges)[masked]
        return (1 - F.cosine_similarity(rebuilt, x[masked])).pow(POWER).mean()


def training_step(
    x: Tensor, edges: Tensor, precision: Precision, device: torch.device
) -> Callable[[], None]:
    """An epoch, which is a step: the graph is one."""
    torch.manual_seed(0)
    model = GraphMae(x.shape[1])
    x, edges = x.to(device), edges.to(device)
    return stepping(model, lambda: cast(Any, model).loss(x, edges), precision, device)
