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

    def __str__(self) -> str:
        return (
            f"{self.side} x {self.side} images, patch {self.patch}, encoder {self.width} x "
            f"{self.depth}, decoder {self.decoder_width} x {self.decoder_depth}, batch {self.batch}"
        )


@dataclass(frozen=True)
class VideoShape:
    """A VideoMAE: tubes of ``tube`` frames and ``patch`` pixels a side, ``hidden`` of the places
    hidden in all frames, three channels."""

    side: int
    frames: int
    tube: int
    patch: int
    hidden: int
    width: int
    depth: int
    heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    batch: int

    def __str__(self) -> str:
        return (
            f"{self.frames} frames of {self.side} x {self.side}, tubes {self.tube} x {self.patch} "
            f"x {self.patch}, {self.hidden} of {self.places} places hidden, encoder {self.width} x "
            f"{self.depth}, decoder {self.decoder_width} x {self.decoder_depth}, "
            f"batch {self.batch}"
        )

    @property
    def places(self) -> int:
        """Tubes at one moment."""
        return (self.side // self.patch) ** 2

    @property
    def moments(self) -> int:
        """Tubes at one place."""
        return self.frames // self.tube


@dataclass(frozen=True)
class SeriesShape:
    """A PatchTST: channels apart, patches that do not overlap."""

    steps: int
    channels: int
    patch: int
    width: int
    depth: int
    heads: int
    mask_ratio: float
    batch: int

    def __str__(self) -> str:
        return (
            f"{self.steps} steps of {self.channels} channels, patch {self.patch}, encoder "
            f"{self.width} x {self.depth} with {self.heads} heads, {self.mask_ratio:.0%} hidden, "
            f"batch {self.batch}"
        )


IMAGES = {
    "cifar": ImageShape(32, 4, 192, 6, 3, 96, 2, 3, batch=256),
    "tiny": ImageShape(224, 16, 192, 12, 3, 192, 4, 3, batch=16),
    "base": ImageShape(224, 16, 768, 12, 12, 512, 8, 16, batch=8),
}
GPU_IMAGES = {
    "base-gpu": ImageShape(224, 16, 768, 12, 12, 512, 8, 16, batch=256),
    "large-gpu": ImageShape(224, 16, 1024, 24, 16, 512, 8, 16, batch=256),
}
VIDEOS = {
    "112": VideoShape(112, 16, 2, 16, 44, 384, 12, 6, 192, 4, 3, batch=8),
    "224": VideoShape(224, 16, 2, 16, 176, 384, 12, 6, 192, 4, 3, batch=2),
}
SERIES = SeriesShape(512, 7, 12, 128, 3, 16, mask_ratio=0.4, batch=64)
