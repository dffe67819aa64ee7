"""A look at a set of videos: lengths, common size, channels, number type and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.video.frames import Frames
from anymae.modalities.video.pixels import refuse_non_finite, with_channels

FRAMES_LOOKED_AT = 8
"""Frames of each video that statistics are taken from."""


@dataclass(frozen=True)
class Survey:
    """What the videos have in common; ``size`` (rows, columns) is None if they differ."""

    lengths: tuple[int, ...]
    size: tuple[int, int] | None
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] | None
    dtype: str


def survey(
    videos: Iterable[Frames], channels: int | None, window: Callable[[int], range]
) -> Survey:
    """Look at videos once: at ``FRAMES_LOOKED_AT`` frames, evenly spaced over ``window(length)``.

    Raises ``BadInput`` if there is none, if their channels disagree beyond grey and colour, if a
    pixel is not finite, or if nothing varies.
    """
    lengths, sizes, dtypes, counts = [], set(), set(), set()
    sums, lows, highs = [], [], []
    for video in videos:
        lengths.append(video.length)
        sizes.add(video.size)
        for frame in video.at(_thinned(window(video.length))):
            refuse_non_finite(frame[None])
            frame = frame if channels is None else with_channels(frame[None], channels)[0]
            dtypes.add(frame.dtype)
            counts.add(frame.shape[2])
            flat = frame.reshape(-1, frame.shape[2]).astype(np.float64)
            sums.append((len(flat), flat.mean(0), flat.var(0)))
            lows.append(flat.min())
            highs.append(flat.max())
    if not sums:
        raise BadInput("there is no video to learn from", found="0 samples")
    if min(lows) == max(highs):
        raise BadInput(
            "all videos are the same constant: there is nothing to learn",
            found=f"every pixel of {len(lengths)} videos is {lows[0]:g}",
        )
    channels = channels or _common_channels(counts)
    mean, std = _pooled(sums, channels)
    dtype = np.result_type(*dtypes)
    return Survey(
        lengths=tuple(lengths),
        size=sizes.pop() if len(sizes) == 1 else None,
        channels=channels,
        mean=tuple(mean.tolist()),
        std=tuple(np.where(std > 1e-9 * (max(highs) - min(lows)), std, 1.0).tolist()),
        value_range=_range(dtype, min(lows), max(highs)),
        dtype=str(dtype),
    )


def _thinned(window: range) -> range:
    return window[:: max(1, -(-len(window) // FRAMES_LOOKED_AT))]


def _common_channels(counts: set[int]) -> int:
    """The channels all videos can be brought to (see ``with_channels``)."""
    if counts <= {1, 3, 4} and len(counts) > 1:
        return 4 if counts == {1, 4} else 3
    if len(counts - {1}) > 1:
        raise BadInput(
            "videos disagree on the number of channels",
            found=sorted(counts),
            expected="one number (grey among colour videos is repeated)",
        )
    return max(counts)


def _pooled(
    sums: list[tuple[int, np.ndarray, np.ndarray]], channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of all pixels per channel, from each frame's own."""
    weights = np.array([n for n, _, _ in sums], dtype=np.float64)
    means = np.array([np.resize(m[:channels], channels) for _, m, _ in sums])
    variances = np.array([np.resize(v[:channels], channels) for _, _, v in sums])
    weights /= weights.sum()
    mean = weights @ means
    return mean, np.sqrt(weights @ (variances + (means - mean) ** 2))


def _range(dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    """The range reconstructions are kept in: the type's for small integers, else the data's."""
    if dtype in (np.uint8, np.uint16):
        top = np.iinfo(dtype).max
        return 0.0, float(top if dtype == np.uint8 or high > 255 else 255)
    return float(low), float(high)
