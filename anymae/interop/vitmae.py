"""What transformers says about a ViTMAE: of a live module, or in its config.json.

transformers is never imported: a live module brings it along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from torch import nn

from anymae.config import validated
from anymae.errors import BadConfig, CheckpointError
from anymae.interop.facts import Facts

LAYOUT = "transformers ViTMAE"
MODEL_TYPE = "vit_mae"
Size = PositiveInt | tuple[PositiveInt, PositiveInt]


class _Config(BaseModel):
    """The fields of a ViTMAEConfig that matter here, with transformers' defaults."""

    model_config = ConfigDict(extra="ignore")

    hidden_act: Literal["gelu"] = "gelu"
    hidden_size: PositiveInt = 768
    num_hidden_layers: PositiveInt = 12
    num_attention_heads: PositiveInt = 12
    intermediate_size: PositiveInt = 3072
    layer_norm_eps: PositiveFloat = 1e-12
    image_size: Size = 224
    patch_size: Size = 16
    num_channels: PositiveInt = 3
    qkv_bias: bool = True
    decoder_hidden_size: PositiveInt = 512
    decoder_num_hidden_layers: PositiveInt = 8
    decoder_num_attention_heads: PositiveInt = 16
    decoder_intermediate_size: PositiveInt = 2048
    mask_ratio: float = 0.75
    norm_pix_loss: bool = False


class _Processor(BaseModel):
    """The fields of an image processor's configuration that matter here."""

    model_config = ConfigDict(extra="ignore")

    image_mean: tuple[float, ...] | None = None
    image_std: tuple[PositiveFloat, ...] | None = None
    rescale_factor: PositiveFloat = 1 / 255


def is_vitmae(module: nn.Module) -> bool:
    """Whether a module is transformers' ViTMAEForPreTraining or ViTMAEModel."""
    return any(
        cls.__name__ in ("ViTMAEForPreTraining", "ViTMAEModel")
        and cls.__module__.startswith("transformers.")
        for cls in type(module).__mro__
    )


def facts_of_config(config: Mapping[str, Any], processor: Mapping[str, Any], where: str) -> Facts:
    """Facts in ``config`` and in the image processor's configuration (empty where there is none).
    Raises ``CheckpointError`` for wrong values, and for another activation than GELU."""
    try:
        known = validated(_Config, config, where)
        images = validated(_Processor, processor, where)
    except BadConfig as error:
        raise CheckpointError(str(error)) from None
    return Facts(
        layout=LAYOUT,
        heads=known.num_attention_heads,
        decoder_heads=known.decoder_num_attention_heads,
        norm_eps=known.layer_norm_eps,
        image_size=_pair(known.image_size),
        # Users set 0 to get features of everything, which our encoder gives anyway.
        mask_ratio=known.mask_ratio if 0 < known.mask_ratio < 1 else None,
        norm_pix=known.norm_pix_loss,
        mean=_raw(images.image_mean, images),
        std=_raw(images.image_std, images),
        qkv_bias=known.qkv_bias,
        claims=_claims(known),
    )


def _claims(config: _Config) -> dict[str, int]:
    rows, columns = _pair(config.patch_size)
    return {
        "width": config.hidden_size,
        "depth": config.num_hidden_layers,
        "mlp width": config.intermediate_size,
        "channels": config.num_channels,
        "patch height": rows,
        "patch width": columns,
        "decoder width": config.decoder_hidden_size,
        "decoder depth": config.decoder_num_hidden_layers,
        "decoder mlp width": config.decoder_intermediate_size,
    }


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _raw(values: tuple[float, ...] | None, images: _Processor) -> tuple[float, ...] | None:
    """Statistics in units of the images before rescaling."""
    return None if values is None else tuple(x / images.rescale_factor for x in values)
