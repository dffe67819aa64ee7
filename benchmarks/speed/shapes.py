"""The model and data sizes at which steps are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageShape:
    """A square-image MAE: mask ratio 0.75, three channels."""

    side: int
    patch: int
    width: int
    depth: int
    heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    batch: int


IMAGE_SHAPES = {
    "cifar": ImageShape(32, 4, 192, 6, 3, 96, 2, 3, batch=256),
    "tiny": ImageShape(224, 16, 192, 12, 3, 192, 4, 3, batch=16),
    "base": ImageShape(224, 16, 768, 12, 12, 512, 8, 16, batch=8),
}
