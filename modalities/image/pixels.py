"""Images as arrays: where their axes are.

Shapes: H rows, W columns, C channels.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

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
