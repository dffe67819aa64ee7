"""A look at a set of recordings of one rate: how long they are, and what their bands hold.

Shapes: T frames, M mel bands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.errors import BadInput


class Survey:
    """Running mean and variance of each of ``bands`` bands, over all frames of all recordings."""

    def __init__(self, bands: int) -> None:
        self.lengths: list[int] = []
        self.mean = torch.zeros(bands, dtype=torch.float64)
        self.squares = torch.zeros(bands, dtype=torch.float64)

    def add(self, log_mel: Tensor) -> None:
        """Take in the frames (T, M) of a recording (Chan et al. 1979)."""
        frames, before = log_mel.double(), sum(self.lengths)
        total = before + len(frames)
        apart = frames.mean(0) - self.mean
        self.squares += (frames - frames.mean(0)).square().sum(0)
        self.squares += apart.square() * before * len(frames) / total
        self.mean += apart * len(frames) / total
        self.lengths.append(len(frames))

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each band; a band that never varies has deviation 1.
        Raises ``BadInput`` if none varies."""
        std = (self.squares / sum(self.lengths)).sqrt()
        varies = std > 1e-4
        if not bool(varies.any()):
            raise BadInput(
                "all recordings are silent or constant: there is nothing to learn",
                found=f"{sum(self.lengths)} equal frames",
            )
        return tuple(self.mean.tolist()), tuple(torch.where(varies, std, 1.0).tolist())

    def patch_frames(self) -> int:
        """A patch's length: 16 frames, or fewer where the median recording would have less than a
        dozen patches."""
        median = sorted(self.lengths)[len(self.lengths) // 2]
        return next((size for size in (16, 8, 4, 2) if median >= 12 * size), 1)


def most_common(surveys: dict[int, Survey]) -> int:
    """The rate of most recordings, of equally frequent ones the lowest. Raises ``BadInput``."""
    if not surveys:
        raise BadInput("there is no recording to learn from", found="0 samples")
    return min(surveys, key=lambda rate: (-len(surveys[rate].lengths), rate))
