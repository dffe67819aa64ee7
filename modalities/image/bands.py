"""Groups of channels that make tokens of their own: how patches are parted and put together.

Shapes: T patches of all channels, p x q their pixels, C channels; G groups, of at most W channels;
n tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from anymae.errors import BadConfig
from anymae.tokens import Packed

Groups = tuple[tuple[int, ...], ...]


def groups_of(bands: Literal["each"] | Groups, channels: int) -> Groups:
    """The channels of each group. Raises ``BadConfig`` for one that is not there."""
    if bands == "each":
        return tuple((channel,) for channel in range(channels))
    highest = max(max(group) for group in bands)
    if highest >= channels:
        raise BadConfig(
            "modality_options bands name a channel that images do not have",
            found=f"channel {highest}",
            expected=f"0 to {channels - 1}",
            hint="Give bands that suit the data, e.g. bands=[[0, 1], [2]], or bands=each.",
        )
    return bands


def parted(patches: Tensor, groups: Groups, pixels: int) -> tuple[Tensor, Tensor | None]:
    """Patches (T, p q C) as tokens (T G, p q W), those of a patch in turn, and which of their
    numbers exist; None where groups are of one size."""
    widest = max(len(group) for group in groups)
    source = torch.zeros(len(groups), widest, dtype=torch.int64)
    there = torch.zeros(len(groups), widest, dtype=torch.bool)
    for place, group in enumerate(groups):
        source[place, : len(group)] = torch.tensor(group)
        there[place, : len(group)] = True
    source, there = source.to(patches.device), there.to(patches.device)
    values = patches.unflatten(1, (pixels, -1))[:, :, source].transpose(1, 2)
    if bool(there.all()):
        return values.flatten(2).flatten(0, 1), None
    observed = there[:, None].expand_as(values)
    values = values.masked_fill(~observed, 0.0)
    return values.flatten(2).flatten(0, 1), observed.flatten(2).flatten(0, 1)


def whole(values: Tensor, coords: Tensor, groups: Groups, channels: int) -> tuple[Tensor, Tensor]:
    """Tokens (n, p q W) at (n, 3) as patches (T, p q C) at (T, 2), NaN where there is none."""
    places, of_token = torch.unique(coords[:, :2], dim=0, return_inverse=True)
    widest = max(len(group) for group in groups)
    values = values.unflatten(1, (-1, widest))
    patches = values.new_full((len(places), values.shape[1], channels), float("nan"))
    for place, group in enumerate(groups):
        rows = (coords[:, 2] == place).nonzero()[:, 0]
        patches[of_token[rows][:, None], :, torch.tensor(group)] = values[
            rows, :, : len(group)
        ].transpose(1, 2)
    return patches.flatten(1), places


class BandEmbedding(nn.Module):
    """A linear map for each group of channels: (n, D)."""

    def __init__(self, pixels: int, groups: Groups, width: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.maps = nn.ModuleList(nn.Linear(pixels * len(group), width) for group in groups)
        self.sizes = [len(group) for group in groups]

    def forward(self, visible: Packed) -> Tensor:
        values = visible.values.unflatten(1, (self.pixels, -1))
        own = [values[:, :, :size].flatten(1) for size in self.sizes]
        return _by_group(self.maps, own, visible.coords)


class BandHead(nn.Module):
    """A linear map for each group: (A, out)."""

    def __init__(self, count: int, width: int, out: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, out) for _ in range(count))

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        return _by_group(self.maps, [x] * len(self.maps), coords)


def _by_group(maps: nn.ModuleList, inputs: Sequence[Tensor], coords: Tensor) -> Tensor:
    """(n, out) what each token's group makes of its row of the group's input (n, in)."""
    rows = [(coords[:, 2] == place).nonzero()[:, 0] for place in range(len(maps))]
    found = [one(x[index]) for one, x, index in zip(maps, inputs, rows, strict=True)]
    return torch.cat(found)[torch.cat(rows).argsort()]
