"""Frames: one video, frame by frame, read when asked for.

Shapes: T frames of the video, N frames of a clip, H rows, W columns, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch

from anymae.errors import BadInput
from anymae.pixels import Box, resized

ChannelAxis = Literal["first", "last"]


class Frames(ABC):
    """The T frames of one video. Files are decoded in ``clip``, and only as far as needed."""

    @property
    @abstractmethod
    def length(self) -> int:
        """T."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Rows and columns of every frame."""

    @abstractmethod
    def at(self, indices: range) -> Iterator[np.ndarray]:
        """The frames (H, W, C) at ascending ``indices``. Raises ``BadInput`` naming the file."""

    def clip(self, indices: range, box: Box | None, size: tuple[int, int]) -> np.ndarray:
        """The frames at ``indices``, cut to ``box`` and resampled to ``size``: (N, *size, C).
        One frame at a time, so that only the result is held in memory."""
        return np.concatenate([fitted(frame[None], box, size) for frame in self.at(indices)])


class ArrayFrames(Frames):
    """A video that is an array (T, H, W, C)."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    @property
    def length(self) -> int:
        return len(self.array)

    @property
    def size(self) -> tuple[int, int]:
        return self.array.shape[1], self.array.shape[2]

    def at(self, indices: range) -> Iterator[np.ndarray]:
        return iter(self.array[indices.start : indices.stop : indices.step])

    def clip(self, indices: range, box: Box | None, size: tuple[int, int]) -> np.ndarray:
        return fitted(self.array[indices.start : indices.stop : indices.step], box, size)


class Clip(ArrayFrames):
    """Frames that were already chosen and cut by ``augment``; every one is used."""


def fitted(frames: np.ndarray, box: Box | None, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W, C) cut to ``box`` and resampled to ``size``."""
    if box is not None:
        top, left, height, width = box
        frames = frames[:, top : top + height, left : left + width]
    return resized(frames, size)


def as_frames(video: Any, channel_axis: ChannelAxis | None = None) -> Frames:
    """A video as ``Frames``, without a copy: an array or tensor (T, H, W), (T, H, W, C) or
    (T, C, H, W), or what already is ``Frames``.

    ``channel_axis`` says where the channels of a 4-D array are; None: see ``guess_channel_axis``.
    Raises ``BadInput`` for other ranks, types and empty videos.
    """
    if isinstance(video, Frames):
        return video
    array = video.numpy(force=True) if isinstance(video, torch.Tensor) else np.asarray(video)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "uif":
        raise BadInput(
            "a video must hold real numbers", found=f"{type(video).__name__} of {array.dtype}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise BadInput(
            "not a video",
            found=f"shape {array.shape}",
            expected="(T, H, W), (T, H, W, C) or (T, C, H, W), all positive",
        )
    if array.ndim == 3:
        return ArrayFrames(array[..., None])
    first = (channel_axis or guess_channel_axis(array.shape)) == "first"
    return ArrayFrames(array.transpose(0, 2, 3, 1) if first else array)


def guess_channel_axis(shape: tuple[int, ...]) -> ChannelAxis | None:
    """Where the channels of an array of this shape are: None unless it has four axes; else the
    axis of a frame that differs where the other two are equal, else the smaller of the outer."""
    if len(shape) != 4:
        return None
    _, first, middle, last = shape
    if first == middle != last:
        return "last"
    if middle == last != first:
        return "first"
    return "first" if first < last else "last"
