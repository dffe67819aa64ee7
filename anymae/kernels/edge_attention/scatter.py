"""Edge attention by gathering along edges and adding up at nodes: any device, any precision.

Memory grows with the edges, E H D, never with the square of the nodes.

Shapes: T tokens, E edges, H heads, D numbers a head.
"""

from __future__ import annotations

import torch
from torch import Tensor


def edge_attention(
    q: Tensor, k: Tensor, v: Tensor, pairs: Tensor, bias: Tensor | None = None
) -> Tensor:
    """As ``reference.edge_attention``. Scores and sums are float32 whatever the inputs are."""
    source, to = pairs
    scores = (q.index_select(0, to) * k.index_select(0, source)).sum(-1).float()
    scores = scores * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias.float()
    share = _softmax(scores, to, len(q))
    mixed = torch.zeros(v.shape, dtype=torch.float32, device=v.device)
    mixed = mixed.index_add(0, to, share[..., None] * v.index_select(0, source).float())
    return mixed.to(v.dtype)


def _softmax(scores: Tensor, to: Tensor, tokens: int) -> Tensor:
    """(E, H) over the edges that enter the same token."""
    place = to[:, None].expand_as(scores)
    # Subtracting the largest changes no value, and so no gradient flows through it.
    largest = scores.new_full((tokens, scores.shape[1]), float("-inf"))
    largest = largest.scatter_reduce(0, place, scores.detach(), "amax")
    weights = (scores - largest.index_select(0, to)).exp()
    total = weights.new_zeros(tokens, scores.shape[1]).index_add(0, to, weights)
    return weights / total.index_select(0, to)
