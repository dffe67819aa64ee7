"""How patches and single measurements become vectors, and where they are.

Shapes: T tokens, F numbers a token, C channels, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae.tokens import OBSERVED, Packed


class PatchEmbedding(nn.Module):
    """A linear map of what is observed of a patch, and of which of its numbers are: (T, D)."""

    def __init__(self, token_dim: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * token_dim, width)

    def forward(self, visible: Packed) -> Tensor:
        observed = visible.side[OBSERVED]
        values = visible.values.masked_fill(~observed, 0.0)
        return self.project(torch.cat([values, observed.to(values.dtype)], 1))


class MeasurementEmbedding(nn.Module):
    """A function of a single number that is each channel's own: (T, D). Its first layer has a
    weight and a bias for each channel, its second is shared."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Embedding(channels, width)
        self.bias = nn.Embedding(channels, width)
        self.project = nn.Linear(width, width)

    def forward(self, visible: Packed) -> Tensor:
        channel = visible.coords[:, 1].long()
        hidden = visible.values * self.weight(channel) + self.bias(channel)
        return self.project(nn.functional.gelu(hidden))


class TimePosition(nn.Module):
    """The position of a token's time, its first coordinate; with ``channels``, and a learned
    vector for the channel, its second: (T, D)."""

    def __init__(self, time: nn.Module, channels: int | None, width: int) -> None:
        super().__init__()
        self.time = time
        self.channel = None if channels is None else nn.Embedding(channels, width)
        if self.channel is not None:
            nn.init.normal_(self.channel.weight, std=0.02)

    def forward(self, coords: Tensor) -> Tensor:
        found: Tensor = self.time(coords[:, :1])
        if self.channel is not None:
            found = found + self.channel(coords[:, 1].long())
        return found
