"""Where a token is: coordinates become vectors of the encoder's width.

Coordinates are the modality's own numbers (patch rows and columns, frames, metres); nothing here
assumes a complete grid, so a token that is not there costs nothing.

Shapes: T tokens, P coordinates, D width.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.errors import BadConfig, BadInput
from anymae.parts import Part


class Position(Part, slot="position"):
    """A part that makes a module ``forward(coords (T, P)) -> (T, D)``."""

    def build(self, coord_dim: int, width: int) -> nn.Module:
        raise NotImplementedError


class SinCosPosition(Position, kind="sincos"):
    """Fixed sines and cosines of each coordinate, concatenated, last coordinate first.

    For two coordinates (row, column) this is exactly MAE's table (facebookresearch/mae,
    util/pos_embed.py): the first half of the width encodes the column. Frequencies fall
    geometrically from 1 to 1 / ``longest`` radians a unit.
    """

    longest: float = 10000.0

    def build(self, coord_dim: int, width: int) -> nn.Module:
        return _SinCos(coord_dim, width, self.longest)


class TablePosition(Position, kind="table"):
    """A learned vector for each cell of a grid of ``shape`` (e.g. rows, columns), as in ViT."""

    shape: tuple[int, ...]

    def build(self, coord_dim: int, width: int) -> nn.Module:
        if len(self.shape) != coord_dim:
            raise BadConfig(
                "position.shape must have one size per coordinate",
                found=f"{len(self.shape)} sizes",
                expected=f"{coord_dim}",
            )
        return _Table(self.shape, width)


class MlpPosition(Position, kind="mlp"):
    """A learned function of the coordinates, with one hidden layer (Point-MAE's has 128): for
    places that are real numbers of order one."""

    hidden: int = Field(default=128, gt=0)

    def build(self, coord_dim: int, width: int) -> nn.Module:
        return _Mlp(coord_dim, self.hidden, width)


class NoPosition(Position, kind="none"):
    """No position: samples are sets."""

    def build(self, coord_dim: int, width: int) -> nn.Module:
        return _Nowhere(width)


class _SinCos(nn.Module):
    def __init__(self, coord_dim: int, width: int, longest: float) -> None:
        super().__init__()
        pairs = width // (2 * coord_dim)
        if pairs == 0:
            raise BadConfig(f"width {width} is too narrow for {coord_dim} coordinates")
        frequencies = longest ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.padding = width - 2 * pairs * coord_dim
        self._tables: dict[int, Tensor] = {}

    def forward(self, coords: Tensor) -> Tensor:
        if coords.dtype.is_floating_point or coords.device.type != "cpu" or not len(coords):
            return self._encode(coords)
        return self._look_up(coords)

    def _encode(self, coords: Tensor) -> Tensor:
        angles = coords.flip(-1)[..., None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
        return nn.functional.pad(waves, (0, self.padding)).to(torch.get_default_dtype())

    def _look_up(self, coords: Tensor) -> Tensor:
        """Grid coordinates on a CPU: gathering rows of a small table beats sines."""
        lowest, highest = int(coords.min()), int(coords.max())
        if lowest < 0 or highest >= 4096:
            return self._encode(coords)
        size = 1 << max(highest, 1).bit_length()
        if size not in self._tables:
            angles = torch.arange(size)[:, None] * self.frequencies
            self._tables[size] = torch.cat([angles.sin(), angles.cos()], -1).float()
        waves = self._tables[size].index_select(0, coords.flip(-1).flatten().long())
        return nn.functional.pad(waves.view(len(coords), -1), (0, self.padding))


class _Table(nn.Module):
    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(torch.empty(math.prod(shape), width))
        nn.init.normal_(self.table, std=0.02)

    def forward(self, coords: Tensor) -> Tensor:
        index = torch.zeros(len(coords), dtype=torch.int64, device=coords.device)
        for axis, size in enumerate(self.shape):
            place = coords[:, axis].long()
            if coords.device.type == "cpu" and len(place):
                _refuse_outside(place, axis, size)
            index = index * size + place
        return self.table.index_select(0, index)


def _refuse_outside(place: Tensor, axis: int, size: int) -> None:
    lowest, highest = int(place.min()), int(place.max())
    if lowest < 0 or highest >= size:
        raise BadInput(
            f"a token lies outside the learned position table on axis {axis}",
            found=f"coordinate {lowest if lowest < 0 else highest}",
            expected=f"from 0 to {size - 1}",
            hint="Use position=sincos, or samples of the size trained on.",
        )


class _Mlp(nn.Module):
    def __init__(self, coord_dim: int, hidden: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(coord_dim, hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, coords: Tensor) -> Tensor:
        return self.second(nn.functional.gelu(self.first(coords.float())))


class _Nowhere(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, coords: Tensor) -> Tensor:
        return torch.zeros(len(coords), self.width, device=coords.device)
