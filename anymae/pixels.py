"""Pixels: what arrays of pictures need, whatever they are pictures of; the last axis is channels.

Shapes: H rows, W columns, C channels, N pictures; ``...`` any leading axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from anymae.errors import BadInput
from anymae.limits import LIMITS

Box = tuple[int, int, int, int]
"""Top, left, height, width."""

_AXES = ("frame", "row", "column", "channel")


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(..., C) with ``channels`` channels: grey becomes colour by repetition, alpha is dropped.
    Raises ``BadInput`` where neither helps."""
    found = pixels.shape[-1]
    if found == channels:
        return pixels
    if found == 1:
        return np.repeat(pixels, channels, axis=-1)
    if (found, channels) == (4, 3):
        return pixels[..., :3]
    raise BadInput("wrong number of channels", found=found, expected=channels)


def refuse_non_finite(pixels: np.ndarray) -> None:
    """Raise ``BadInput`` naming the first pixel of (H, W, C) or (N, H, W, C) that is NaN, infinite
    or beyond ``Limits.magnitude``."""
    if pixels.dtype.kind != "f":
        return
    good = np.abs(pixels) <= np.float64(LIMITS.magnitude)
    if good.all():
        return
    bad = np.argwhere(~good)
    place = zip(_AXES[-pixels.ndim :], bad[0], strict=True)
    raise BadInput(
        f"{pixels[tuple(bad[0])]} pixel value",
        where=", ".join(f"{axis} {index}" for axis, index in place),
        found=f"{len(bad)} of {pixels.size} values not finite or too large",
        expected=f"finite numbers up to {LIMITS.magnitude:g}",
    )


def resized(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, H, W, C) resampled to ``size`` by antialiased bicubic interpolation, float32, kept inside
    the range of the original values."""
    if pictures.shape[1:3] == size:
        return pictures
    planes = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))
    out = F.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)
    return out.clamp_(float(planes.min()), float(planes.max())).permute(0, 2, 3, 1).numpy()


@dataclass(frozen=True)
class Statistics:
    """What pictures have in common: ``mean`` and ``std`` a channel, in raw units, the range that
    reconstructions are kept in, and the number type."""

    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float]
    dtype: str


class Survey:
    """A look at pictures, one at a time. ``what`` they belong to is said in errors (image, video);
    ``channels`` is what they are brought to, if that is known."""

    def __init__(self, what: str, channels: int | None) -> None:
        self.what = what
        self.channels = channels
        self._dtypes: set[np.dtype] = set()
        self._counts: set[int] = set()
        self._sums: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._lows: list[float] = []
        self._highs: list[float] = []

    def add(self, picture: np.ndarray) -> None:
        """Look at one (H, W, C). Raises ``BadInput`` for channels that do not fit and pixels that
        are not finite."""
        refuse_non_finite(picture)
        picture = picture if self.channels is None else with_channels(picture, self.channels)
        self._dtypes.add(picture.dtype)
        self._counts.add(picture.shape[2])
        flat = picture.reshape(-1, picture.shape[2]).astype(np.float64)
        self._sums.append((len(flat), flat.mean(0), flat.var(0)))
        self._lows.append(flat.min())
        self._highs.append(flat.max())

    def statistics(self, count: int) -> Statistics:
        """What was found in ``count`` samples. Raises ``BadInput`` if there is none, if their
        channels disagree beyond grey and colour, or if nothing varies."""
        if not self._sums:
            raise BadInput(f"there is no {self.what} to learn from", found="0 samples")
        channels = self.channels or self._common_channels()
        low, high = min(self._lows), max(self._highs)
        if low == high:
            raise BadInput(
                f"all {self.what}s are the same constant: there is nothing to learn",
                found=f"every pixel of {count} {self.what}s is {low:g}",
            )
        mean, std = self._pooled(channels)
        dtype = np.result_type(*self._dtypes)
        return Statistics(
            channels=channels,
            mean=tuple(mean.tolist()),
            std=tuple(np.where(std > 1e-9 * (high - low), std, 1.0).tolist()),
            value_range=_range(dtype, low, high),
            dtype=str(dtype),
        )

    def _common_channels(self) -> int:
        """The channels all can be brought to (see ``with_channels``)."""
        counts = self._counts
        if counts <= {1, 3, 4} and len(counts) > 1:
            return 4 if counts == {1, 4} else 3
        if len(counts - {1}) > 1:
            raise BadInput(
                f"{self.what}s disagree on the number of channels",
                found=sorted(counts),
                expected=f"one number (grey among colour {self.what}s is repeated)",
            )
        return max(counts)

    def _pooled(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of all pixels per channel, from each picture's own."""
        weights = np.array([n for n, _, _ in self._sums], dtype=np.float64)
        means = np.array([np.resize(m[:channels], channels) for _, m, _ in self._sums])
        variances = np.array([np.resize(v[:channels], channels) for _, _, v in self._sums])
        weights /= weights.sum()
        mean = weights @ means
        return mean, np.sqrt(weights @ (variances + (means - mean) ** 2))


def _range(dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    """The range reconstructions are kept in: the type's for small integers, else the data's."""
    if dtype in (np.uint8, np.uint16):
        top = np.iinfo(dtype).max
        return 0.0, float(top if dtype == np.uint8 or high > 255 else 255)
    return float(low), float(high)


def random_crop_box(
    size: tuple[int, ...],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Box:
    """A crop of a picture of ``size`` (rows, columns).

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
