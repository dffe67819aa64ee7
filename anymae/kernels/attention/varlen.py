"""Attention over ragged samples on CUDA in half precision: torch's variable-length flash kernel."""

from __future__ import annotations

from torch import Tensor

from anymae.kernels.segments import Segments


def attention(q: Tensor, k: Tensor, v: Tensor, queries: Segments, keys: Segments) -> Tensor:
    """As ``reference.attention``, for float16 and bfloat16 tensors on CUDA."""
    from torch.nn.attention.varlen import varlen_attn

    mixed = varlen_attn(
        q,
        k,
        v,
        queries.cumulative(q.device),
        keys.cumulative(q.device),
        max(queries.longest, 1),
        max(keys.longest, 1),
    )
    assert isinstance(mixed, Tensor), "a tuple comes back only where auxiliary results are asked"
    return mixed
