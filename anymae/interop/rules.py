"""How each tensor of ours is made from the source's, and the refusal of whatever does not fit.

Shapes: D width, W decoder width, C channels, p and q the patch's height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor

from anymae.errors import CheckpointError
from anymae.interop.anatomy import Anatomy, Stack
from anymae.interop.naming import Naming

Shape = tuple[int, ...]
SHOWN = 12
"""Names listed in an error before the rest is only counted."""


@dataclass(frozen=True)
class Rule:
    """``ours`` is ``change`` of the sources (name -> the shape expected) joined on axis 0."""

    ours: str
    sources: Mapping[str, Shape]
    change: Callable[[Tensor], Tensor] = field(default=lambda tensor: tensor)

    def make(self, tensors: Mapping[str, Tensor]) -> Tensor:
        return self.change(torch.cat([tensors[name].float() for name in self.sources]))


def rules_for(naming: Naming, anatomy: Anatomy, qkv_bias: bool) -> list[Rule]:
    """A rule for every tensor of ours but positions and leading tokens (see ``placing``)."""
    encoder, decoder, (p, q) = anatomy.encoder, anatomy.decoder, anatomy.patch
    pixels = p * q * anatomy.channels
    patch = {f"{naming.patch}.weight": (encoder.width, anatomy.channels, p, q)}
    rules = [
        Rule("embedding.project.weight", patch, _channels_last),
        Rule("embedding.project.bias", {f"{naming.patch}.bias": (encoder.width,)}),
        *_norm("encoder.norm", naming.norm, encoder.width),
        *_blocks("encoder.blocks", naming.blocks, naming, encoder, qkv_bias),
    ]
    if decoder is None:
        return rules
    token = {naming.mask_token: (1, 1, decoder.width)}
    return [
        *rules,
        *_linear("decoder.embed", (naming.decoder_embed,), decoder.width, encoder.width),
        Rule("decoder.mask_token", token, torch.Tensor.flatten),
        *_norm("decoder.norm", naming.decoder_norm, decoder.width),
        *_blocks("decoder.blocks", naming.decoder_blocks, naming, decoder, qkv_bias),
        *_linear("head.project", (naming.decoder_head,), pixels, decoder.width),
    ]


def _channels_last(weight: Tensor) -> Tensor:
    """A convolution over patches as a linear map of our patch vectors, channels fastest."""
    return rearrange(weight, "d c p q -> d (p q c)")


def _linear(
    ours: str, theirs: tuple[str, ...], rows: int, columns: int, bias: bool = True
) -> Iterator[Rule]:
    each = rows // len(theirs)
    yield Rule(f"{ours}.weight", {f"{name}.weight": (each, columns) for name in theirs})
    if bias:
        yield Rule(f"{ours}.bias", {f"{name}.bias": (each,) for name in theirs})


def _norm(ours: str, theirs: str, width: int) -> Iterator[Rule]:
    for kind in ("weight", "bias"):
        yield Rule(f"{ours}.{kind}", {f"{theirs}.{kind}": (width,)})


def _blocks(ours: str, theirs: str, naming: Naming, stack: Stack, qkv_bias: bool) -> Iterator[Rule]:
    width, hidden = stack.width, stack.hidden
    maps = {
        "attention.qkv": (3 * width, width, qkv_bias),
        "attention.project": (width, width, True),
        "mlp.0": (hidden, width, True),
        "mlp.2": (width, hidden, True),
    }
    for i in range(stack.depth):
        for part, names in naming.layer.items():
            here, there = f"{ours}.{i}.{part}", tuple(f"{theirs}.{i}.{name}" for name in names)
            if part in maps:
                yield from _linear(here, there, *maps[part])
            else:
                yield from _norm(here, there[0], width)


def refuse_differences(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Shape], where: str
) -> None:
    """Raise ``CheckpointError`` unless the source holds exactly the wanted names and shapes, all
    of them finite floats. Lists every difference up to a dozen of a kind."""
    problems = []
    missing, left_over = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    if missing:
        problems.append(f"missing: {_listed(sorted(missing))}")
    if left_over:
        problems.append(f"unknown: {_listed(sorted(left_over))}")
    wrong = [
        f"{name} {tuple(tensors[name].shape)} instead of {shape}"
        for name, shape in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    if wrong:
        problems.append(f"another shape: {_listed(wrong)}")
    if problems:
        raise CheckpointError(
            "the tensors do not fit; nothing was loaded",
            where=where,
            found="; ".join(problems),
            hint="A masked autoencoder with plain pre-norm ViT blocks can be imported.",
        )
    for name in wanted:
        if not tensors[name].is_floating_point() or not bool(
            tensors[name].float().isfinite().all()
        ):
            raise CheckpointError(
                f"{name} does not hold finite floats", where=where, found=tensors[name].dtype
            )


def _listed(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
