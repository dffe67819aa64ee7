"""Which attention runs, and why.

The rule is measured (docs/performance.md): on CPUs torch's fused kernel is several times slower
than matmul-softmax-matmul in bfloat16 and faster in float32; on CUDA the flash kernels need half
precision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anymae.kernels.attention import dense, grouped, varlen
from anymae.kernels.segments import Segments

PLAIN_LIMIT = 4096
"""Tokens up to which storing the attention scores pays in half precision on a CPU."""


class Choice(NamedTuple):
    """How packed attention will be computed: ``shape`` is dense, grouped or varlen, ``body`` is
    plain or fused (of dense and grouped), ``why`` is one sentence."""

    shape: str
    body: str
    why: str


def choose(device: torch.device, dtype: torch.dtype, queries: Segments, keys: Segments) -> Choice:
    """The implementation for these tensors; a pure function of its arguments."""
    half = dtype in (torch.float16, torch.bfloat16)
    equal = bool(queries.equal) and bool(keys.equal)
    if device.type == "cuda":
        if equal:
            return Choice("dense", "fused", "equal lengths: torch's flash kernel")
        if half:
            return Choice("varlen", "fused", "ragged, half precision: variable-length flash")
        return Choice("grouped", "fused", "ragged float32: flash kernels need half precision")
    shape = "dense" if equal else "grouped"
    if half and max(queries.longest, keys.longest) <= PLAIN_LIMIT:
        return Choice(
            shape, "plain", "half precision on a CPU: plain products beat the fused kernel"
        )
    return Choice(shape, "fused", "float32 on a CPU, or too long to store scores: fused kernel")


def attention(q: Tensor, k: Tensor, v: Tensor, queries: Segments, keys: Segments) -> Tensor:
    """softmax(q k^T / sqrt(D)) v within each sample.

    q (Tq, H, D), k and v (Tk, H, D), cut by ``queries`` and ``keys``; returns (Tq, H, D).
    Equal to ``reference.attention`` to rounding, values and gradients.
    """
    choice = choose(q.device, q.dtype, queries, keys)
    if choice.shape == "varlen":
        return varlen.attention(q, k, v, queries, keys)
    body = dense.plain if choice.body == "plain" else dense.fused
    if choice.shape == "grouped":
        return grouped.attention(q, k, v, queries, keys, body)
    samples = len(queries)
    mixed = body(
        q.view(samples, -1, *q.shape[1:]),
        k.view(samples, -1, *k.shape[1:]),
        v.view(samples, -1, *v.shape[1:]),
    )
    return mixed.reshape(q.shape)
