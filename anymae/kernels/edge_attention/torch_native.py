"""Edge attention in plain torch, on any device.

Scores are products taken along the edges a portion at a time; what tokens read is summed by
``embedding_bag``, whose bags are the edges at one end: every number has one writer, on any device.
Nothing of size E D is ever stored, and the backward pass, by hand, consists of the same two steps.

Shapes: T tokens, E edges, H heads, D numbers a head.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from anymae.kernels.edge_attention.adjacency import Adjacency, Csr

AT_ONCE = {"cpu": 1 << 18}
"""Products that are held at once: on a CPU what its caches hold, elsewhere 2 ** 25."""


def edge_attention(
    q: Tensor, k: Tensor, v: Tensor, graph: Adjacency, bias: Tensor | None = None
) -> Tensor:
    """As ``reference.edge_attention``, in float32 whatever the inputs are. Not twice
    differentiable."""
    orders = graph.pairs, graph.incoming, graph.outgoing
    mixed = _EdgeAttention.apply(q.float(), k.float(), v.float(), bias, *orders)
    return mixed.to(v.dtype)


class _EdgeAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        pairs: Tensor,
        incoming: Csr,
        outgoing: Csr,
    ) -> Tensor:
        source, to = pairs
        scores = _products(q, to, k, source) * q.shape[-1] ** -0.5
        if bias is not None:
            scores += bias
        share = _softmax(scores, to, incoming)
        mixed = _sums(share, v, incoming)
        ctx.save_for_backward(q, k, v, share, mixed, pairs)
        ctx.orders = incoming, outgoing
        ctx.bias_type = None if bias is None else bias.dtype
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, share, mixed, (source, to) = ctx.saved_tensors
        incoming, outgoing = ctx.orders
        mean = (grad * mixed).sum(-1)
        grad_score = share * (_products(grad, to, v, source) - mean.index_select(0, to))
        grad_bias = None if ctx.bias_type is None else grad_score.to(ctx.bias_type)
        scaled = grad_score * q.shape[-1] ** -0.5
        grad_q, grad_k = _sums(scaled, k, incoming), _sums(scaled, q, outgoing)
        return grad_q, grad_k, _sums(share, grad, outgoing), grad_bias, None, None, None


def _products(a: Tensor, of_a: Tensor, b: Tensor, of_b: Tensor) -> Tensor:
    """(E, H): the scalar products of rows ``of_a`` of a and ``of_b`` of b, both (T, H, D)."""
    step = max(1, AT_ONCE.get(a.device.type, 1 << 25) // max(1, a[:1].numel()))
    found = a.new_empty(len(of_a), a.shape[1])
    for first in range(0, len(of_a), step):
        some = slice(first, first + step)
        product = a.index_select(0, of_a[some]).mul_(b.index_select(0, of_b[some]))
        torch.sum(product, -1, out=found[some])
    return found


def _sums(weight: Tensor, x: Tensor, csr: Csr) -> Tensor:
    """(T, H, D): the rows of x (T, H, D) at the other end of each token's edges, weighted (E, H)
    and added. Every head of a token is a bag of its own."""
    tokens, heads, size = x.shape
    head = torch.arange(heads, device=x.device)[:, None]
    rows = (csr.other * heads + head).flatten()
    starts = (csr.start[:-1] + len(csr.other) * head).flatten()
    weights = weight.index_select(0, csr.edge).T.flatten()
    table = x.reshape(tokens * heads, size)
    found = F.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=weights)
    return found.view(heads, tokens, size).transpose(0, 1)


def _softmax(scores: Tensor, to: Tensor, csr: Csr) -> Tensor:
    """(E, H) over the edges that enter the same token; zeros where all of them are hidden."""
    largest = F.embedding_bag(csr.edge, scores, csr.start[:-1], mode="max")
    largest.masked_fill_(largest.isneginf(), 0.0)
    weights = (scores - largest.index_select(0, to)).exp_()
    total = F.embedding_bag(csr.edge, weights, csr.start[:-1], mode="sum")
    return weights.div_(total.masked_fill_(total == 0, 1.0).index_select(0, to))
