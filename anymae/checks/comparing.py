"""Where two samples' tokens differ, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from anymae.tokens import Packed, Tokens


def difference(
    found: Tokens | Packed, wanted: Tokens | Packed, tolerance: float = 0.0
) -> str | None:
    """The first thing in which two sets of tokens differ by more than ``tolerance`` (absolute, and
    relative to what was wanted), or None."""
    theirs = dict(_tensors(wanted))
    ours = dict(_tensors(found))
    if ours.keys() != theirs.keys():
        return f"{', '.join(sorted(ours))} instead of {', '.join(sorted(theirs))}"
    for name, tensor in ours.items():
        other = theirs[name]
        if tensor.shape != other.shape:
            return f"{name} of shape {tuple(tensor.shape)} instead of {tuple(other.shape)}"
        if not torch.allclose(
            tensor.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True
        ):
            return f"{name} differ by {farthest(tensor, other):.3g}"
    return None


def farthest(found: Tensor, wanted: Tensor) -> float:
    """The largest absolute difference; NaN where only one of two is a number."""
    return float((found.double() - wanted.double()).abs().max()) if found.numel() else 0.0


def _tensors(tokens: Tokens | Packed) -> Iterator[tuple[str, Tensor]]:
    yield "values", tokens.values
    yield "coords", tokens.coords
    if isinstance(tokens, Packed):
        yield "offsets", tokens.offsets
    yield from _named("side", tokens.side)
    yield from _named("context", tokens.context)
    if tokens.edges is not None:
        yield "edges", tokens.edges.pairs
        if tokens.edges.values is not None:
            yield "edge values", tokens.edges.values


def _named(field: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in sorted(tensors.items()):
        yield f"{field}[{name!r}]", tensor
