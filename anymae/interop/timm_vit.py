"""What timm says about a vision transformer: of a live module, or in the config.json beside one.

timm is never imported: a live module brings it along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import nn

from anymae.config import validated
from anymae.errors import BadConfig, CheckpointError
from anymae.interop.facts import Facts

SchemaT = TypeVar("SchemaT", bound=BaseModel)

LAYOUT = "timm ViT"
PLAIN = re.compile(r"(vit|deit)_(tiny|small|medium|base|large|huge|giant|gigantic)_patch\d+_\d+")
"""Architectures whose blocks are the plain ones; variants differ in ways no tensor shows."""
UNSEEN = ("act_layer", "attn_layer", "block_fn", "embed_layer", "mlp_layer", "norm_layer")
"""Options that change what is computed and leave no trace in the tensors."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="allow")

    num_heads: PositiveInt | None = None
    img_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    class_token: bool = True
    qkv_bias: bool = True


class _Pretrained(BaseModel):
    model_config = ConfigDict(extra="ignore")

    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None
    input_size: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None


class _Config(BaseModel):
    """The fields of timm's config.json that matter here."""

    model_config = ConfigDict(extra="ignore")

    architecture: str
    model_args: _Arguments = Field(default_factory=_Arguments)
    pretrained_cfg: _Pretrained = Field(default_factory=_Pretrained)


def is_timm_vit(module: nn.Module) -> bool:
    """Whether a module is (derived from) timm's VisionTransformer."""
    return any(
        cls.__name__ == "VisionTransformer" and cls.__module__.startswith("timm.")
        for cls in type(module).__mro__
    )


def facts_of_module(module: Any, where: str) -> Facts:
    """Facts of a live VisionTransformer. Raises ``CheckpointError`` for blocks unlike ours."""
    for block in module.blocks:
        _refuse_other_block(block, where)
    config = getattr(module, "pretrained_cfg", None) or {}
    mean, std = _statistics(_understood(_Pretrained, config, where))
    size = module.patch_embed.img_size
    first = module.blocks[0]
    return Facts(
        layout=LAYOUT,
        heads=first.attn.num_heads,
        norm_eps=first.norm1.eps,
        image_size=size and tuple(size),
        mean=mean,
        std=std,
        cls=module.cls_token is not None,
        qkv_bias=first.attn.qkv.bias is not None,
    )


def _refuse_other_block(block: Any, where: str) -> None:
    path = {"": "Block", "attn": "Attention", "mlp": "Mlp", "mlp.act": "GELU"}
    for name, expected in path.items():
        part = block.get_submodule(name) if type(block).__name__ == "Block" else block
        exact = getattr(part, "approximate", "none") == "none"
        if type(part).__name__ != expected or not exact:
            raise CheckpointError(
                "a block of this module is not what anymae computes",
                where=where,
                found=type(part).__name__ if exact else str(part),
                expected=expected,
            )


def facts_of_config(config: Mapping[str, Any], where: str) -> Facts:
    """Facts in a config.json that timm wrote. Raises ``CheckpointError`` for architectures that a
    file does not describe."""
    known = _understood(_Config, config, where)
    arguments, pretrained = known.model_args, known.pretrained_cfg
    unseen = sorted(set(UNSEEN) & set(arguments.model_extra or {}))
    if unseen or not PLAIN.fullmatch(known.architecture):
        raise CheckpointError(
            "a file does not tell what this timm architecture computes",
            where=where,
            found=" with ".join([known.architecture, *unseen]),
            expected="a plain one, such as vit_base_patch16_224",
            hint="Build it with timm and pass the module to anymae.import_checkpoint.",
        )
    mean, std = _statistics(pretrained)
    size = arguments.img_size or (pretrained.input_size and pretrained.input_size[1:])
    return Facts(
        layout=LAYOUT,
        heads=arguments.num_heads,
        image_size=(size, size) if isinstance(size, int) else size,
        mean=mean,
        std=std,
        cls=arguments.class_token,
        qkv_bias=arguments.qkv_bias,
    )


def _statistics(config: _Pretrained) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and standard deviation of images from 0 to 255; timm keeps them for 0 to 1."""
    mean = config.mean and tuple(255 * x for x in config.mean)
    return mean, config.std and tuple(255 * x for x in config.std)


def _understood(schema: type[SchemaT], fields: Mapping[str, Any], where: str) -> SchemaT:
    try:
        return validated(schema, fields, where)
    except BadConfig as error:
        raise CheckpointError(str(error)) from None
