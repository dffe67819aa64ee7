"""anymae's training step on random pixels, tokenization and masking included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from anymae.benchmarks.speed.shapes import ImageShape
from anymae.config import TrainingConfig, with_overrides
from anymae.encoder import EncoderConfig
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.registry import recipe
from anymae.training.optim import adamw


def training_step(
    shape: ImageShape, precision: Precision, decoder: str = "self"
) -> Callable[[], None]:
    """A step of the ``mae`` recipe, from a batch of float images to updated weights."""
    pixels = np.random.default_rng(0).standard_normal(
        (shape.batch, shape.side, shape.side, 3), dtype=np.float32
    )
    adapter = ImageAdapter(
        patch_size=(shape.patch, shape.patch),
        image_size=(shape.side, shape.side),
        channels=3,
        channel_axis="last",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )
    sized = {
        "decoder": decoder,
        "decoder.width": shape.decoder_width,
        "decoder.depth": shape.decoder_depth,
        "decoder.heads": shape.decoder_heads,
    }
    method = with_overrides(recipe("mae"), sized, "benchmark")
    encoder = EncoderConfig(width=shape.width, depth=shape.depth, heads=shape.heads)
    model = Model(adapter, method, encoder).train()
    optimiser = adamw(model, TrainingConfig())
    keys = torch.arange(shape.batch)

    def step() -> None:
        packed = adapter.batch_tokenize(list(pixels)).with_keys(keys)
        roles = method.mask.draw(packed)
        with autocast(torch.device("cpu"), precision):
            output = model(packed, roles)
        (output.loss / output.count).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step
