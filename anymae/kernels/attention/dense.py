"""Attention over samples of equal length, as batched matrix products.

Two bodies: ``plain`` multiplies, applies softmax and multiplies; ``fused`` is torch's own kernel.
Which is faster depends on processor, precision and length: see ``dispatch``.

Shapes: B samples of Lq queries and Lk keys, H heads, D numbers a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def plain(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """q (B, Lq, H, D), k and v (B, Lk, H, D), bias (B, 1, Lk) added to scores: (B, Lq, H, D)."""
    samples, length, heads, size = q.shape
    q, k, v = (_heads_first(x) for x in (q, k, v))
    added = q.new_zeros(1, 1, 1) if bias is None else bias.repeat_interleave(heads, 0)
    beta, alpha = float(bias is not None), size**-0.5
    scores = torch.baddbmm(added, q, k.transpose(1, 2), beta=beta, alpha=alpha)
    mixed = torch.bmm(scores.softmax(-1), v)
    return mixed.view(samples, heads, length, size).transpose(1, 2)


def fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same through ``scaled_dot_product_attention``, which never stores the scores."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    mask = None if bias is None else bias[:, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def _heads_first(x: Tensor) -> Tensor:
    """(B, L, H, D) to contiguous (B * H, L, D)."""
    samples, length, heads, size = x.shape
    return x.transpose(1, 2).reshape(samples * heads, length, size)
