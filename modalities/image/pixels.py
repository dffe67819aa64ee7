"""Images as arrays: shapes, channels, resizing and cropping.

Shapes: H rows, W columns, C channels.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F

from anymae.errors import BadInput

ChannelAxis = Literal["first", "last"]


def as_array(image: Any, channel_axis: ChannelAxis | None = None) -> np.ndarray:
    """A PIL image, array or tensor as (H, W, C), without a copy where possible.

    ``channel_axis`` says where the channels of a 3-D array are; None: see ``guess_channel_axis``.
    Raises ``BadInput`` for other ranks, types and empty images.
    """
    array = image.numpy(force=True) if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "uif":
        raise BadInput(
            "an image must hold real numbers", found=f"{type(image).__name__} of {array.dtype}"
        )
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise BadInput(
            "not an image",
            found=f"shape {array.shape}",
            expected="(H, W), (H, W, C) or (C, H, W), all positive",
        )
    if array.ndim == 2:
        return array[:, :, None]
    channel_axis = channel_axis or guess_channel_axis(array.shape)
    return array if channel_axis == "last" else array.transpose(1, 2, 0)


def guess_channel_axis(shape: tuple[int, ...]) -> ChannelAxis | None:
    """Where the channels of an array of this shape are: None unless it has three axes; else the
    axis that differs where the other two are equal, else the smaller of the outer ones."""
    if len(shape) != 3:
        return None
    first, middle, last = shape
    if first == middle != last:
        return "last"
    if middle == last != first:
        return "first"
    return "first" if first < last else "last"


def with_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """(H, W, C) with ``channels`` channels: grey becomes colour by repetition, alpha is dropped.
    Raises ``BadInput`` where neither helps."""
    found = array.shape[2]
    if found == channels:
        return array
    if found == 1:
        return np.repeat(array, channels, axis=2)
    if (found, channels) == (4, 3):
        return array[:, :, :3]
    raise BadInput("wrong number of channels", found=found, expected=channels)


def refuse_non_finite(array: np.ndarray) -> None:
    """Raise ``BadInput`` naming the first NaN or infinite pixel of (H, W, C)."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = np.argwhere(~np.isfinite(array))
    row, column, channel = bad[0]
    raise BadInput(
        f"{array[row, column, channel]} pixel value",
        where=f"row {row}, column {column}, channel {channel}",
        found=f"{len(bad)} non-finite of {array.size} values",
        expected="finite numbers",
    )


def resized(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) resampled to ``size`` by antialiased bicubic interpolation, float32, kept inside
    the range of the original values."""
    if array.shape[:2] == size:
        return array
    image = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32))
    out = F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)
    return out[0].clamp_(float(image.min()), float(image.max())).permute(1, 2, 0).numpy()


def random_crop_box(
    size: tuple[int, ...],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop of an image of ``size`` (rows, columns).

    Its area fraction is U(scale), its aspect log-uniform in ``ratio``; after ten failures it is
    the largest central crop of an allowed ratio (torchvision's rule).
    """
    height, width = size
    draw = torch.rand(10, 4, generator=generator).tolist()
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    for area, aspect, top, left in draw:
        target = height * width * (scale[0] + (scale[1] - scale[0]) * area)
        aspect = math.exp(log_low + (log_high - log_low) * aspect)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(top * (height - h + 1)), int(left * (width - w + 1)), h, w
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = min(height, round(width / aspect)), min(width, round(height * aspect))
    return (height - h) // 2, (width - w) // 2, max(h, 1), max(w, 1)
