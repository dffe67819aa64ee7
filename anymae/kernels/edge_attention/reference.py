"""The definition of edge attention, one node at a time: slow, plain, and never wrong.

Shapes: T tokens, E edges, H heads, D numbers a head.
"""

from __future__ import annotations

import torch
from torch import Tensor


def edge_attention(
    q: Tensor, k: Tensor, v: Tensor, pairs: Tensor, bias: Tensor | None = None
) -> Tensor:
    """softmax over the edges (j, i) into each i of (q_i k_j / sqrt(D) + bias), times v_j.

    q, k, v (T, H, D); ``pairs`` (2, E) int64 as (from, to); ``bias`` (E, H). Returns (T, H, D); a
    token that no edge enters, or all of whose edges a bias of -inf hides, gets zeros.
    """
    rows = []
    for i in range(len(q)):
        entering = (pairs[1] == i).nonzero()[:, 0]
        sources = pairs[0, entering]
        scores = torch.einsum("hd,ehd->eh", q[i], k[sources]) * q.shape[-1] ** -0.5
        if bias is not None:
            scores = scores + bias[entering]
        hidden = scores.isneginf().all(0)
        share = scores.masked_fill(hidden, 0.0).softmax(0).masked_fill(hidden, 0.0)
        rows.append(torch.einsum("eh,ehd->hd", share, v[sources]))
    return torch.stack(rows)
