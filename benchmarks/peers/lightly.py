"""lightly's modules, composed as its MAE example composes them: one step on random images.

``fused`` is the attention that timm's blocks use: torch's fused kernel, their default, or plain
products. The example trains with an optimiser that is not fused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from anymae.benchmarks.peers.steps import stepping
from anymae.benchmarks.speed.contest import Entrant
from anymae.benchmarks.speed.shapes import ImageShape
from anymae.precision import Precision

PLAIN = "lightly bf16, plain attention"
SHIPPED = {"fp32": "lightly fp32", "bf16": "lightly bf16"}


def entrants(shape: ImageShape) -> dict[str, Entrant]:
    """As shipped, and in bfloat16 with the fused attention switched off."""
    return {
        SHIPPED["fp32"]: Entrant(partial(mae, shape, "fp32", True), "fp32", peer="lightly"),
        SHIPPED["bf16"]: Entrant(partial(mae, shape, "bf16", True), "bf16", peer="lightly"),
        PLAIN: Entrant(partial(mae, shape, "bf16", False), "bf16", peer="lightly"),
    }


class _Mae(nn.Module):
    def __init__(self, shape: ImageShape) -> None:
        from lightly.models import utils
        from lightly.models.modules import MAEDecoderTIMM, MaskedVisionTransformerTIMM
        from timm.models.vision_transformer import VisionTransformer

        super().__init__()
        self.utils, self.patch = utils, shape.patch
        vit = VisionTransformer(
            img_size=shape.side,
            patch_size=shape.patch,
            embed_dim=shape.width,
            depth=shape.depth,
            num_heads=shape.heads,
        )
        self.backbone = MaskedVisionTransformerTIMM(vit=vit)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its successor came with the same version
            self.decoder = MAEDecoderTIMM(
                num_patches=(shape.side // shape.patch) ** 2,
                patch_size=shape.patch,
                embed_dim=shape.width,
                decoder_embed_dim=shape.decoder_width,
                decoder_depth=shape.decoder_depth,
                decoder_num_heads=shape.decoder_heads,
            )

    def loss(self, images: Tensor) -> Tensor:
        utils = self.utils
        size = (len(images), self.backbone.sequence_length)
        keep, hide = utils.random_token_mask(size=size, mask_ratio=0.75, device=images.device)
        seen = self.decoder.embed(self.backbone.encode(images=images, idx_keep=keep))
        every = utils.repeat_token(self.decoder.mask_token, size)
        every = utils.set_at_index(every, keep, seen.type_as(every))
        predicted = self.decoder.predict(utils.get_at_index(self.decoder.decode(every), hide))
        patches = utils.get_at_index(utils.patchify(images, self.patch), hide - 1)
        return nn.functional.mse_loss(predicted, utils.normalize_mean_var(patches, dim=-1))


def mae(
    shape: ImageShape, precision: Precision, fused: bool, device: torch.device
) -> Callable[[], None]:
    """Images at mask ratio 0.75, normalised targets."""
    from timm.layers.config import set_fused_attn

    set_fused_attn(fused)
    torch.manual_seed(0)
    model = _Mae(shape)
    images = torch.randn(shape.batch, 3, shape.side, shape.side, device=device)
    return stepping(model, lambda: cast(Any, model).loss(images), precision, device, fused=False)
