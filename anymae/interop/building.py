"""The model an imported checkpoint asks for, and the source's numbers put into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.adapter import Adapter
from anymae.config import validated
from anymae.decoders import SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import CheckpointError
from anymae.interop.anatomy import Anatomy
from anymae.interop.facts import Facts
from anymae.interop.placing import Placed
from anymae.interop.rules import Rule
from anymae.interop.settings import DECODER_HEADS, NARROW_OR_WIDE, Settings
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.registry import modality, recipe
from anymae.targets import Content


@dataclass(frozen=True)
class Given:
    """What the caller says of a checkpoint; it wins over what the checkpoint says."""

    image_size: tuple[int, int] | None = None
    heads: int | None = None
    decoder_heads: int | None = None
    norm_pix: bool | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def build(
    anatomy: Anatomy,
    grid: tuple[int, int],
    places: Placed,
    facts: Facts,
    given: Given,
    settings: Settings,
) -> Model:
    """The model with all its settings and newly drawn weights. Raises ``CheckpointError``,
    ``BadConfig``."""
    stack = anatomy.encoder
    told = (given.heads, facts.heads)
    encoder = {
        "width": stack.width,
        "depth": stack.depth,
        "heads": settings.heads("heads", told, stack.width, 64, NARROW_OR_WIDE),
        "mlp_ratio": stack.mlp_ratio,
        "cls": anatomy.cls,
        "registers": anatomy.registers,
        "norm_eps": settings.choose(
            "norm_eps", (facts.norm_eps,), default=1e-6, ground="MAE's and timm's"
        ),
    }
    adapter = _adapter(anatomy, grid, facts, given, settings)
    method = _method(anatomy, places, facts, given, settings)
    return Model(adapter, method, validated(EncoderConfig, encoder, settings.where))


def _adapter(
    anatomy: Anatomy, grid: tuple[int, int], facts: Facts, given: Given, settings: Settings
) -> Adapter:
    mean, std = settings.statistics(
        anatomy.channels, (given.mean, facts.mean), (given.std, facts.std)
    )
    p, q = anatomy.patch
    fields = {
        "patch_size": (p, q),
        "image_size": (grid[0] * p, grid[1] * q),
        "channels": anatomy.channels,
        "mean": mean,
        "std": std,
        "value_range": (0.0, 255.0),
        "dtype": "uint8",
    }
    return validated(modality("image"), fields, settings.where)


def _method(
    anatomy: Anatomy, places: Placed, facts: Facts, given: Given, settings: Settings
) -> Recipe:
    """MAE with the checkpoint's numbers."""
    mae = recipe("mae")
    norm_pix = settings.choose(
        "norm_pix",
        (given.norm_pix, facts.norm_pix),
        default=True,
        ground="as MAE's released pretraining weights",
    )
    ratio = settings.choose("mask_ratio", (facts.mask_ratio,), default=0.75, ground="MAE's")
    choices = {
        "position": places.position,
        "mask": mae.mask.with_ratio(ratio),
        "target": Content(normalise="token" if norm_pix else "none"),
    }
    stack = anatomy.decoder
    if stack is not None:
        told = (given.decoder_heads, facts.decoder_heads)
        choices["decoder"] = SelfDecoder(
            width=stack.width,
            depth=stack.depth,
            heads=settings.heads("decoder_heads", told, stack.width, 32, DECODER_HEADS),
            mlp_ratio=stack.mlp_ratio,
        )
    return mae.model_copy(update=choices)


def fill(
    model: Model,
    rules: list[Rule],
    places: Placed,
    tensors: Mapping[str, Tensor],
    has_decoder: bool,
) -> dict[str, str]:
    """Put the source's numbers into the model. Returns its tensors that the source does not hold,
    with what they hold instead: a new decoder where there was none, zeros for absent biases."""
    taken = {rule.ours: rule.make(tensors) for rule in rules} | dict(places.filled)
    unfilled = {}
    state = model.state_dict()
    for name in state.keys() - taken.keys():
        if name.startswith(("decoder.", "head.")) and not has_decoder:
            taken[name] = state[name]
            unfilled[name] = "newly initialised: the source has no decoder"
        elif name.endswith("attention.qkv.bias"):
            taken[name] = torch.zeros_like(state[name])
            unfilled[name] = "zeros: the source has no such bias"
        else:
            raise CheckpointError(f"nothing fills our tensor {name!r}")
    try:
        model.load_state_dict(taken)
    except RuntimeError as error:
        raise CheckpointError(f"the tensors do not fit: {error}") from None
    return dict(sorted(unfilled.items()))
