"""Which edge attention runs, and why."""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.choice import Choice, triton_or
from anymae.kernels.edge_attention import torch_native
from anymae.kernels.edge_attention.adjacency import Adjacency


def choose(device: torch.device) -> Choice:
    """The implementation for tensors on ``device``."""
    return triton_or("torch_native", device)


def edge_attention(
    q: Tensor, k: Tensor, v: Tensor, graph: Adjacency, bias: Tensor | None = None
) -> Tensor:
    """softmax over the edges (j, i) into each i of (q_i k_j / sqrt(D) + bias), times v_j.

    q, k, v (T, H, D) of one dtype; ``bias`` (E, H) stands in the order of ``graph.pairs``. Returns
    (T, H, D); a token that no edge enters, or all of whose edges a bias of -inf hides, gets zeros.
    Equal to ``reference.edge_attention`` to rounding, values and gradients.
    """
    if choose(q.device).body == "triton":
        from anymae.kernels.edge_attention import triton

        return triton.edge_attention(q, k, v, graph, bias)
    return torch_native.edge_attention(q, k, v, graph, bias)
