"""MAE on images, beside transformers' ViTMAE and lightly's modules.

Peers run as shipped, and once more with torch's fused attention switched off, which on CPUs is
slow in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from anymae.benchmarks.peers import lightly, transformers
from anymae.benchmarks.speed.contest import Contest, Entrant, Step
from anymae.benchmarks.speed.ours import training_step
from anymae.benchmarks.speed.shapes import GPU_IMAGES, IMAGES, ImageShape
from anymae.encoder import EncoderConfig
from anymae.modalities.image.adapter import ImageAdapter
from anymae.precision import Precision


def adapter_of(side: int, patch: int) -> ImageAdapter:
    """Square images of three channels, taken as they are."""
    return ImageAdapter(
        patch_size=(patch, patch),
        image_size=(side, side),
        channels=3,
        channel_axis="last",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def ours(shape: ImageShape, precision: Precision, decoder: str, device: torch.device) -> Step:
    """The ``mae`` recipe at a shape."""
    size = (shape.batch, shape.side, shape.side, 3)
    pixels = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    adapter = adapter_of(shape.side, shape.patch)
    encoder = EncoderConfig(width=shape.width, depth=shape.depth, heads=shape.heads)
    sized: dict[str, Any] = {
        "decoder": decoder,
        "decoder.width": shape.decoder_width,
        "decoder.depth": shape.decoder_depth,
        "decoder.heads": shape.decoder_heads,
    }
    return training_step(adapter, list(pixels), encoder, precision, device, **sized)


def contest(name: str, shape: ImageShape) -> Contest:
    """Everybody at a shape."""
    fp32 = (transformers.SHIPPED["fp32"], lightly.SHIPPED["fp32"])
    shipped = (transformers.SHIPPED["bf16"], lightly.SHIPPED["bf16"])
    bf16 = (*shipped, transformers.PLAIN, lightly.PLAIN)
    return Contest(
        f"image-{name}",
        str(shape),
        "images",
        shape.batch,
        {
            "anymae fp32": Entrant(partial(ours, shape, "fp32", "self"), "fp32", fp32),
            "anymae bf16": Entrant(partial(ours, shape, "bf16", "self"), "bf16", bf16),
            "anymae bf16, cross decoder": Entrant(
                partial(ours, shape, "bf16", "cross"), "bf16", bf16
            ),
            **transformers.entrants(transformers.vitmae, shape),
            **lightly.entrants(shape),
        },
    )


def on_gpu(name: str, shape: ImageShape) -> Contest:
    """Everybody at a shape of the paper's, in bfloat16 with torch's flash attention."""
    found = contest(name, shape)
    rivals = (transformers.SHIPPED["bf16"], lightly.SHIPPED["bf16"])
    kept = ("anymae bf16", *rivals)
    entrants = {one: found.entrants[one] for one in kept}
    entrants["anymae bf16"] = replace(entrants["anymae bf16"], against=rivals)
    return replace(found, entrants=entrants, device="cuda")


CONTESTS = (
    *(contest(name, shape) for name, shape in IMAGES.items()),
    *(on_gpu(name, shape) for name, shape in GPU_IMAGES.items()),
)
