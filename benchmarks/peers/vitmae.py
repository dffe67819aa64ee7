"""transformers' ViTMAEForPreTraining: one training step on random pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch

from anymae.benchmarks.speed.shapes import ImageShape
from anymae.precision import Precision, autocast


def training_step(shape: ImageShape, precision: Precision, attention: str) -> Callable[[], None]:
    """A step as transformers ships it (fused AdamW is its trainer's default).

    ``attention`` is ``"sdpa"``, its default, or ``"eager"``.
    """
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        image_size=shape.side,
        patch_size=shape.patch,
        decoder_hidden_size=shape.decoder_width,
        decoder_num_hidden_layers=shape.decoder_depth,
        decoder_num_attention_heads=shape.decoder_heads,
        decoder_intermediate_size=4 * shape.decoder_width,
        mask_ratio=0.75,
        norm_pix_loss=True,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
    pixels = torch.randn(shape.batch, 3, shape.side, shape.side)

    def step() -> None:
        with autocast(torch.device("cpu"), precision):
            loss = model(pixel_values=pixels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step
