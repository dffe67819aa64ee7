"""Pooling: a sample's tokens as one vector.

A pool is named by what it takes, joined by ``+``: ``cls`` (the class token), ``mean``, ``max`` and
``std`` (the standard deviation) of the tokens, in each column. ``"mean+max"`` is as wide as two.

Shapes: B samples, T tokens, R registers a sample, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.encoder import EncoderConfig, Latents
from anymae.errors import BadConfig
from anymae.kernels import ragged

KINDS = ("cls", "mean", "max", "std")


def parsed(pool: str, encoder: EncoderConfig) -> tuple[str, ...]:
    """What a pool takes, in its order. Raises ``BadConfig`` for unknown and repeated words, and for
    the class token of an encoder that has none."""
    kinds = tuple(str(pool).split("+"))
    if not set(kinds) <= set(KINDS) or len(set(kinds)) < len(kinds):
        raise BadConfig(
            "unknown pool",
            found=repr(pool),
            expected=f"None, or some of {', '.join(KINDS)} joined by +",
        )
    if "cls" in kinds and not encoder.cls:
        raise BadConfig("this encoder has no class token", hint="Use pool='mean'.")
    return kinds


def pooled(latents: Latents, kinds: tuple[str, ...], x: Tensor | None = None) -> Tensor:
    """(B, len(kinds) D) of the rows ``x`` (T + B R, D), by default the encoder's output."""
    x = latents.x if x is None else x
    parts = [_POOLS[kind](latents, x) for kind in kinds]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _cls(latents: Latents, x: Tensor) -> Tensor:
    return latents.registers(x)[:, 0]


def _mean(latents: Latents, x: Tensor) -> Tensor:
    return ragged.mean(latents.tokens(x), latents.of_tokens)


def _max(latents: Latents, x: Tensor) -> Tensor:
    return ragged.maximum(latents.tokens(x), latents.of_tokens)


def _std(latents: Latents, x: Tensor) -> Tensor:
    tokens, of = latents.tokens(x), latents.of_tokens
    offsets = tokens - ragged.mean(tokens, of)[of.ids(x.device)]
    # The root has no slope at 0, where a sample's tokens are all alike.
    return (ragged.mean(offsets.square(), of) + 1e-12).sqrt()


_POOLS = {"cls": _cls, "mean": _mean, "max": _max, "std": _std}
