"""Transformer blocks on packed tokens, shared by the encoder and the decoders.

Shapes: T tokens, Tq asking tokens, Tm memory tokens, D width, H heads.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from anymae import draws
from anymae.errors import BadConfig
from anymae.kernels import ragged
from anymae.kernels.attention import attention
from anymae.kernels.segments import Segments
from anymae.layouts import Layout


class SelfAttention(nn.Module):
    """What multi-head attention learns: one projection for queries, keys and values, and one for
    what came of them. Who meets whom is the layout's affair."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def heads_of(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, (T, H, D / H) each."""
        return self.qkv(x).unflatten(1, (3, self.heads, -1)).unbind(1)

    def tail(self, x: Tensor, joined: Segments, asking: Segments) -> Tensor:
        """The output for each sample's last tokens only (see ``ragged.tail``): (Tq, D)."""
        width = x.shape[1]
        weight, bias = self.qkv.weight, self.qkv.bias
        q = F.linear(ragged.tail(x, joined, asking), weight[:width], bias[:width])
        q = q.unflatten(1, (self.heads, -1))  # of any number of rows, none included
        k, v = F.linear(x, weight[width:], bias[width:]).unflatten(1, (2, self.heads, -1)).unbind(1)
        return self.project(attention(q, k, v, asking, joined).flatten(1))


class CrossAttention(nn.Module):
    """Multi-head attention from asking tokens to a memory of its own width."""

    def __init__(self, width: int, memory_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width, 2 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, of_x: Segments, memory: Tensor, of_memory: Segments) -> Tensor:
        q = self.query(x).unflatten(1, (self.heads, -1))
        k, v = self.key_value(memory).unflatten(1, (2, self.heads, -1)).unbind(1)
        return self.project(attention(q, k, v, of_x, of_memory).flatten(1))


class Mlp(nn.Sequential):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Recomputing(nn.Module):
    """A module whose inner results may be computed again in the backward pass instead of being
    kept (Chen et al. 2016): the same bits, for about a third more arithmetic."""

    recompute = False

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """``compute``, keeping what ``recompute`` says."""
        if not (self.recompute and torch.is_grad_enabled()):
            return self.compute(*inputs, **named)
        # Nothing here draws from torch's generator, so there is no state of it to keep.
        kept_once = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        return cast(Tensor, kept_once(self.compute, *inputs, **named))

    def compute(self, *inputs: Any, **named: Any) -> Tensor:
        """What the module does."""
        raise NotImplementedError


class Block(Recomputing):
    """A pre-norm block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, eps: float, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps=eps)
        self.attention = SelfAttention(width, heads)
        self.norm_2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.drop_path = drop_path

    def compute(
        self,
        x: Tensor,
        layout: Layout,
        segments: Segments,
        keys: Tensor | None = None,
        depth: int = 0,
    ) -> Tensor:
        q, k, v = self.before(x)
        mixed = layout.attend(q, k, v, depth).flatten(1)
        if not (self.training and self.drop_path):
            return self.after(x, mixed)
        return self.after(x, mixed, *(self._kept(x, segments, keys, 2 * depth + i) for i in (0, 1)))

    def before(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, (T, H, D / H) each: what a block does before tokens meet."""
        return self.attention.heads_of(self.norm_1(x))

    def after(
        self, x: Tensor, mixed: Tensor, keep_1: Tensor | None = None, keep_2: Tensor | None = None
    ) -> Tensor:
        """What a block does after tokens met in ``mixed`` (T, D), each token for itself again;
        ``keep`` (T, 1) are factors of the two branches."""
        said = self.attention.project(mixed)
        x = x + (said if keep_1 is None else keep_1 * said)
        said = self.mlp(self.norm_2(x))
        return x + (said if keep_2 is None else keep_2 * said)

    def compile_tokenwise(self) -> None:
        """Compile what is done token by token, for any number of tokens, so that lengths which
        change every step compile once. Attention has kernels of its own."""
        for name in ("before", "after"):
            setattr(self, name, torch.compile(getattr(self, name), dynamic=True))

    def tail(self, x: Tensor, joined: Segments, asking: Segments) -> Tensor:
        """The block's output for each sample's last tokens only: what nobody reads is not
        computed. x (T, D) joined; returns (Tq, D)."""
        y = ragged.tail(x, joined, asking)
        y = y + self.attention.tail(self.norm_1(x), joined, asking)
        return y + self.mlp(self.norm_2(y))

    def _kept(self, x: Tensor, segments: Segments, keys: Tensor | None, counter: int) -> Tensor:
        """(T, 1) stochastic depth factors, one draw per sample (Huang et al. 2016)."""
        if keys is None:
            raise BadConfig("drop path draws from the batch's keys, and this batch has none")
        coin = draws.uniform(keys, keys.new_full((), counter), "drop-path")
        factor = (coin >= self.drop_path).to(x.dtype) / (1 - self.drop_path)
        return factor[segments.ids(x.device)][:, None]


class CrossBlock(Recomputing):
    """A pre-norm block whose attention reads a memory: asking tokens do not see one another."""

    def __init__(
        self, width: int, memory_width: int, heads: int, mlp_ratio: float, eps: float
    ) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps=eps)
        self.attention = CrossAttention(width, memory_width, heads)
        self.norm_2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def compute(self, x: Tensor, of_x: Segments, memory: Tensor, of_memory: Segments) -> Tensor:
        x = x + self.attention(self.norm_1(x), of_x, memory, of_memory)
        return x + self.mlp(self.norm_2(x))
