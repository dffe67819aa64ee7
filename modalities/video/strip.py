"""A picture of a video: a few of its frames, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FRAMES = 8
COLUMNS = 2


def draw_strip(
    axes: Any,
    video: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    value_range: tuple[float, float] | None,
) -> None:
    """Draw at most eight evenly spaced frames of (T, H, W, C), two a row, with a gap between them.

    Colour or grey (of other numbers of channels the first three), scaled to three standard
    deviations around the mean; missing pixels are transparent.
    """
    chosen = np.linspace(0, len(video) - 1, min(FRAMES, len(video))).round().astype(int)
    frames = video[chosen, :, :, :3].astype(np.float64)
    low, high = value_range or (-np.inf, np.inf)
    low = max(low, min(m - 3 * s for m, s in zip(mean, std, strict=True)))
    high = min(high, max(m + 3 * s for m, s in zip(mean, std, strict=True)))
    frames = ((frames - low) / (high - low)).clip(0, 1)
    if frames.shape[3] < 3:
        frames = np.repeat(frames[..., :1], 3, axis=3)
    seen = np.isfinite(frames).all(-1, keepdims=True)
    axes.imshow(_arranged(np.concatenate([np.nan_to_num(frames), seen], -1)))
    axes.set_axis_off()


def _arranged(frames: np.ndarray) -> np.ndarray:
    """(N, H, W, 4) as one picture: rows of two, the frames apart from each other in grey."""
    count, height, width, _ = frames.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    gap = max(1, min(height, width) // 24)
    picture = np.ones(((height + gap) * rows - gap, (width + gap) * columns - gap, 4))
    picture[..., :3] = 0.6
    for i, frame in enumerate(frames):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        picture[top : top + height, left : left + width] = frame
    return picture
