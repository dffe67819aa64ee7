"""The embedding of spectrogram patches, the last of which may be part empty."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae.tokens import OBSERVED, Packed


class PatchEmbedding(nn.Module):
    """A linear map of a patch's values, and of which of its frames exist: (T, width).

    ``shape`` (frames, bands) is a patch's. Values of frames beyond a recording's end do not enter.
    """

    def __init__(self, shape: tuple[int, int], width: int) -> None:
        super().__init__()
        self.shape = shape
        self.project = nn.Linear(shape[0] * shape[1] + shape[0], width)

    def forward(self, visible: Packed) -> Tensor:
        observed = visible.side[OBSERVED]
        frames = observed.unflatten(1, self.shape)[:, :, 0]
        values = visible.values.masked_fill(~observed, 0.0)
        return self.project(torch.cat([values, frames.to(values.dtype)], 1))
