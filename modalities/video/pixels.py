"""Frames as arrays: resizing, cropping, channels.

Shapes: N frames, H rows, W columns, C channels.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from anymae.errors import BadInput

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


def resized(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W, C) resampled to ``size`` by antialiased bicubic interpolation, float32, kept
    inside the range of the original values."""
    if frames.shape[1:3] == size:
        return frames
    planes = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2), np.float32))
    out = F.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)
    return out.clamp_(float(planes.min()), float(planes.max())).permute(0, 2, 3, 1).numpy()


def random_crop_box(
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Box:
    """A crop of a frame of ``size`` (rows, columns).

    Its area fraction is U(scale), its aspect log-uniform in ``ratio``; after ten failures it is
    the largest central crop of an allowed ratio (torchvision's rule).
    """
    height, width = size
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    for area, aspect, top, left in torch.rand(10, 4, generator=generator).tolist():
        target = height * width * (scale[0] + (scale[1] - scale[0]) * area)
        aspect = math.exp(log_low + (log_high - log_low) * aspect)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(top * (height - h + 1)), int(left * (width - w + 1)), h, w
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = min(height, round(width / aspect)), min(width, round(height * aspect))
    return (height - h) // 2, (width - w) // 2, max(h, 1), max(w, 1)


def with_channels(frames: np.ndarray, channels: int) -> np.ndarray:
    """(N, H, W, C) with ``channels`` channels: grey becomes colour by repetition, alpha is
    dropped. Raises ``BadInput`` where neither helps."""
    found = frames.shape[3]
    if found == channels:
        return frames
    if found == 1:
        return np.repeat(frames, channels, axis=3)
    if (found, channels) == (4, 3):
        return frames[..., :3]
    raise BadInput("wrong number of channels", found=found, expected=channels)


def refuse_non_finite(frames: np.ndarray) -> None:
    """Raise ``BadInput`` naming the first NaN or infinite pixel of (N, H, W, C)."""
    if frames.dtype.kind != "f" or np.isfinite(frames).all():
        return
    bad = np.argwhere(~np.isfinite(frames))
    frame, row, column, channel = bad[0]
    raise BadInput(
        f"{frames[frame, row, column, channel]} pixel value",
        where=f"frame {frame}, row {row}, column {column}, channel {channel}",
        found=f"{len(bad)} non-finite of {frames.size} values",
        expected="finite numbers",
    )
