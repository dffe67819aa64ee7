"""Edge attention as Triton kernels: nothing of size E D is ever stored.

One program computes one head of one token. The output and the gradients of queries and bias walk
the edges that enter the token, the gradients of keys and values those that leave it, so every
number has one writer: no atomics, and the same bits in every run. Softmax is computed online
(Milakov and Gimelshein 2018), in float32 whatever the inputs are.

Shapes: T tokens, E edges, H heads, D numbers a head.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from anymae.kernels.edge_attention.adjacency import Adjacency

TILE = 512
"""Numbers of keys, and as many of values, that a program of one warp holds at once: most tokens
have few edges, so many small programs hide the time that gathering takes."""

# In all kernels: ``row`` and ``step`` are the strides of q, k, v from token to token and from head
# to head; what the kernels write, and ``out`` and ``grad``, is contiguous. SIZE is D, filled up to
# a power of two; EDGES is how many edges are read at once. Places are int64: none can overflow.


@triton.jit
def _score(
    q, k, bias, other, edge, there, column, head, heads, row, step, size, BIASED: tl.constexpr
):  # fmt: skip
    """Keys (EDGES, SIZE) of the tokens ``other``, and scores (EDGES,), -inf where no edge is."""
    places = other[:, None] * row + head * step + column[None, :]
    keys = tl.load(k + places, mask=there[:, None] & (column < size)[None, :], other=0.0)
    keys = keys.to(tl.float32)
    scores = tl.sum(q[None, :] * keys, 1)
    if BIASED:
        scores += tl.load(bias + edge * heads + head, mask=there, other=0.0).to(tl.float32)
    return keys, tl.where(there, scores, float("-inf"))


@triton.jit
def _forward(
    q, k, v, bias, start, source, edge, out, logsum,
    heads, row, step, size, scale,
    BIASED: tl.constexpr, SIZE: tl.constexpr, EDGES: tl.constexpr,
):  # fmt: skip
    """Writes ``out`` (T, H, D) and ``logsum`` (T, H), the logarithm of the softmax's sum."""
    token = (tl.program_id(0) // heads).to(tl.int64)
    head = (tl.program_id(0) % heads).to(tl.int64)
    column = tl.arange(0, SIZE)
    inside = column < size
    mine = tl.load(q + token * row + head * step + column, mask=inside, other=0.0)
    mine = mine.to(tl.float32) * scale
    largest = float("-inf")
    total = 0.0
    mixed = tl.zeros([SIZE], tl.float32)
    first, last = tl.load(start + token), tl.load(start + token + 1)
    while first < last:
        place = first + tl.arange(0, EDGES)
        there = place < last
        other = tl.load(source + place, mask=there, other=0)
        given = tl.load(edge + place, mask=there, other=0)
        _, scores = _score(
            mine, k, bias, other, given, there, column, head, heads, row, step, size, BIASED
        )
        grown = tl.maximum(largest, tl.max(scores, 0))
        level = tl.where(grown == float("-inf"), 0.0, grown)  # every edge so far is hidden
        weights = tl.exp(scores - level)
        shrunk = tl.exp(largest - level)
        places = other[:, None] * row + head * step + column[None, :]
        values = tl.load(v + places, mask=there[:, None] & inside[None, :], other=0.0)
        mixed = mixed * shrunk + tl.sum(weights[:, None] * values.to(tl.float32), 0)
        total = total * shrunk + tl.sum(weights, 0)
        largest = grown
        first += EDGES
    nothing = total == 0
    total = tl.where(nothing, 1.0, total)
    tl.store(out + (token * heads + head) * size + column, mixed / total, mask=inside)
    tl.store(logsum + token * heads + head, tl.where(nothing, 0.0, largest + tl.log(total)))


@triton.jit
def _backward_entering(
    q, k, v, bias, start, source, edge, logsum, grad, grad_q, share, grad_score,
    heads, row, step, size, scale,
    BIASED: tl.constexpr, SIZE: tl.constexpr, EDGES: tl.constexpr,
):  # fmt: skip
    """Writes ``grad_q`` (T, H, D), and of every edge, (E, H), its ``share`` in the token's mixture
    and ``grad_score``: share (g - mean of g), where g is the gradient of the share."""
    token = (tl.program_id(0) // heads).to(tl.int64)
    head = (tl.program_id(0) % heads).to(tl.int64)
    column = tl.arange(0, SIZE)
    inside = column < size
    mine = tl.load(q + token * row + head * step + column, mask=inside, other=0.0)
    mine = mine.to(tl.float32) * scale
    here = (token * heads + head) * size + column
    above = tl.load(grad + here, mask=inside, other=0.0).to(tl.float32)
    level = tl.load(logsum + token * heads + head)
    mean = 0.0
    mean_key = tl.zeros([SIZE], tl.float32)
    gathered = tl.zeros([SIZE], tl.float32)
    first, last = tl.load(start + token), tl.load(start + token + 1)
    while first < last:
        place = first + tl.arange(0, EDGES)
        there = place < last
        other = tl.load(source + place, mask=there, other=0)
        given = tl.load(edge + place, mask=there, other=0)
        keys, scores = _score(
            mine, k, bias, other, given, there, column, head, heads, row, step, size, BIASED
        )
        shares = tl.exp(scores - level)
        places = other[:, None] * row + head * step + column[None, :]
        values = tl.load(v + places, mask=there[:, None] & inside[None, :], other=0.0)
        grads = tl.sum(above[None, :] * values.to(tl.float32), 1)
        mean += tl.sum(shares * grads, 0)
        mean_key += tl.sum(shares[:, None] * keys, 0)
        gathered += tl.sum((shares * grads)[:, None] * keys, 0)
        tl.store(share + given * heads + head, shares, mask=there)
        tl.store(grad_score + given * heads + head, grads, mask=there)
        first += EDGES
    tl.store(grad_q + here, (gathered - mean * mean_key) * scale, mask=inside)
    tl.debug_barrier()  # what was stored is read again
    first = tl.load(start + token)
    while first < last:
        place = first + tl.arange(0, EDGES)
        there = place < last
        given = tl.load(edge + place, mask=there, other=0) * heads + head
        shares = tl.load(share + given, mask=there, other=0.0)
        grads = tl.load(grad_score + given, mask=there, other=0.0)
        tl.store(grad_score + given, shares * (grads - mean), mask=there)
        first += EDGES


@triton.jit
def _backward_leaving(
    q, grad, start, target, edge, share, grad_score, grad_k, grad_v,
    heads, row, step, size, scale,
    SIZE: tl.constexpr, EDGES: tl.constexpr,
):  # fmt: skip
    """Writes ``grad_k`` and ``grad_v`` (T, H, D), from what ``_backward_entering`` left."""
    token = (tl.program_id(0) // heads).to(tl.int64)
    head = (tl.program_id(0) % heads).to(tl.int64)
    column = tl.arange(0, SIZE)
    inside = column < size
    of_key = tl.zeros([SIZE], tl.float32)
    of_value = tl.zeros([SIZE], tl.float32)
    first, last = tl.load(start + token), tl.load(start + token + 1)
    while first < last:
        place = first + tl.arange(0, EDGES)
        there = place < last
        other = tl.load(target + place, mask=there, other=0)
        given = tl.load(edge + place, mask=there, other=0)
        known = there[:, None] & inside[None, :]
        asking = tl.load(q + other[:, None] * row + head * step + column[None, :], known, 0.0)
        above = tl.load(grad + (other[:, None] * heads + head) * size + column[None, :], known, 0.0)
        shares = tl.load(share + given * heads + head, mask=there, other=0.0)
        grads = tl.load(grad_score + given * heads + head, mask=there, other=0.0)
        of_key += tl.sum(grads[:, None] * asking.to(tl.float32), 0)
        of_value += tl.sum(shares[:, None] * above.to(tl.float32), 0)
        first += EDGES
    here = (token * heads + head) * size + column
    tl.store(grad_k + here, of_key * scale, mask=inside)
    tl.store(grad_v + here, of_value, mask=inside)


def edge_attention(
    q: Tensor, k: Tensor, v: Tensor, graph: Adjacency, bias: Tensor | None = None
) -> Tensor:
    """As ``reference.edge_attention``. Not twice differentiable."""
    if q.stride(-1) != 1 or not q.stride() == k.stride() == v.stride():
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    bias = None if bias is None else bias.contiguous()
    out, _ = _attend(q, k, v, bias, list(graph.incoming), list(graph.outgoing))
    return out


@torch.library.custom_op("anymae::edge_attention", mutates_args=())
def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    incoming: list[Tensor],
    outgoing: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """The output (T, H, D) and ``logsum`` (T, H); ``outgoing`` is for the backward pass."""
    out, logsum = _empty(q), _empty(q[..., 0], torch.float32)
    if out.numel():
        with torch.cuda.device_of(q):
            _forward[(logsum.numel(),)](
                q, k, v, bias, *incoming, out, logsum, **_shape(q), BIASED=bias is not None
            )
    return out, logsum


@_attend.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    incoming: list[Tensor],
    outgoing: list[Tensor],
) -> tuple[Tensor, Tensor]:
    return _empty(q), _empty(q[..., 0], torch.float32)


@torch.library.custom_op("anymae::edge_attention_backward", mutates_args=())
def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    incoming: list[Tensor],
    outgoing: list[Tensor],
    logsum: Tensor,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, and of the scores (E, H) in float32."""
    grads = _empty(q), _empty(k), _empty(v)
    grad_score = q.new_empty(len(incoming[2]), q.shape[1], dtype=torch.float32)
    share = torch.empty_like(grad_score)
    if logsum.numel():
        with torch.cuda.device_of(q):
            _backward_entering[(logsum.numel(),)](
                q, k, v, bias, *incoming, logsum, grad, grads[0], share, grad_score,
                **_shape(q), BIASED=bias is not None,
            )  # fmt: skip
            _backward_leaving[(logsum.numel(),)](
                q, grad, *outgoing, share, grad_score, grads[1], grads[2], **_shape(q)
            )
    return *grads, grad_score


@_gradients.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    incoming: list[Tensor],
    outgoing: list[Tensor],
    logsum: Tensor,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_score = q.new_empty(len(incoming[2]), q.shape[1], dtype=torch.float32)
    return _empty(q), _empty(k), _empty(v), grad_score


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, bias, incoming, outgoing = inputs
    ctx.save_for_backward(q, k, v, bias, *incoming, *outgoing, output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    q, k, v, bias, *orders, logsum = ctx.saved_tensors
    incoming, outgoing = orders[:3], orders[3:]
    *grads, grad_score = _gradients(q, k, v, bias, incoming, outgoing, logsum, grad.contiguous())
    grad_bias = None if bias is None else grad_score.to(bias.dtype)
    return *grads, grad_bias, [None] * 3, [None] * 3


_attend.register_autograd(_backward, setup_context=_remember)


def _empty(like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(like.shape, dtype=dtype or like.dtype, device=like.device)


def _shape(q: Tensor) -> dict[str, Any]:
    """What every kernel has to know of q, k and v, and how much to read at once."""
    _, heads, size = q.shape
    padded = triton.next_power_of_2(size)
    return {
        "heads": heads,
        "row": q.stride(0),
        "step": q.stride(1),
        "size": size,
        "scale": size**-0.5,
        "SIZE": padded,
        "EDGES": min(16, max(4, TILE // padded)),
        "num_warps": 1,
    }
