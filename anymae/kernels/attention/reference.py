"""The definition of packed attention, one sample at a time: slow, plain, and never wrong.

Shapes: Tq and Tk packed query and key tokens, H heads, D numbers a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.segments import Segments


def attention(q: Tensor, k: Tensor, v: Tensor, queries: Segments, keys: Segments) -> Tensor:
    """softmax(q k^T / sqrt(D)) v within each segment.

    q (Tq, H, D), k and v (Tk, H, D); segment b of the queries reads segment b of the keys.
    Returns (Tq, H, D). A segment with queries must have keys.
    """
    rows = []
    for b in range(len(queries)):
        one_q = q[queries.offsets[b] : queries.offsets[b + 1]]
        one_k = k[keys.offsets[b] : keys.offsets[b + 1]]
        one_v = v[keys.offsets[b] : keys.offsets[b + 1]]
        scores = torch.einsum("qhd,khd->hqk", one_q, one_k) * q.shape[-1] ** -0.5
        rows.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), one_v))
    return torch.cat(rows)
