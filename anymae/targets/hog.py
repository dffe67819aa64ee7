"""Histograms of oriented gradients of the hidden part of an image.

Shapes: B samples, A asked tokens, p x q the patch, C channels, c the cell, N bins.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, BadInput, IncompatibleRecipe
from anymae.targets.target import Scene, Target
from anymae.tokens import Packed, Tokens


class Hog(Target, kind="hog"):
    """Gradient directions, unsigned, in ``bins`` hard bins, weighted by magnitude and added up in
    cells of ``cell`` pixels (None: half a patch), each cell and channel of length 1; gradients by
    Sobel filters on the whole image (MaskFeat, Wei et al. 2022). For images of whole grids."""

    needs: ClassVar[frozenset[str]] = frozenset({"grid", "pixels"})

    bins: int = Field(default=9, gt=1)
    cell: int | None = Field(default=None, gt=0)

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        rows, columns, channels = self._shape(adapter)
        cell = self._cell(rows)
        return (rows // cell) * (columns // cell) * channels * self.bins

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None:
            raise BadConfig("target=hog needs the whole image")
        shape = self._shape(adapter)
        every = torch.cat([self._of_image(one, shape) for one in scene.packed.split()])
        return every.index_select(0, scene.rows)

    def _shape(self, adapter: Adapter) -> tuple[int, int, int]:
        if len(adapter.token_shape) != 3:
            raise IncompatibleRecipe(
                f"target=hog needs patches of an image, not those of {adapter.name}",
                found=f"tokens of shape {adapter.token_shape}",
                expected="(rows, columns, channels)",
            )
        rows, columns, channels = adapter.token_shape
        cell = self._cell(rows)
        if rows % cell or columns % cell:
            raise IncompatibleRecipe(
                "target.cell must divide the patch", found=cell, expected=f"of {rows} x {columns}"
            )
        return rows, columns, channels

    def _cell(self, rows: int) -> int:
        return self.cell or max(1, rows // 2)

    def _of_image(self, tokens: Tokens, shape: tuple[int, int, int]) -> Tensor:
        """(n, width) of every token of one image, in its tokens' order."""
        p, q, _ = shape
        places = tokens.coords.long()
        rows, columns = (int(n) + 1 for n in places.amax(0))
        if rows * columns != len(places):
            raise BadInput("target=hog needs every patch of the image", found=f"{len(places)}")
        order = places[:, 0] * columns + places[:, 1]
        grid = torch.empty_like(tokens.values)
        grid[order] = tokens.values
        image = rearrange(
            grid.float(), "(h w) (p q c) -> c 1 (h p) (w q)", h=rows, w=columns, p=p, q=q
        )
        cells = histograms(image, self.bins, self._cell(p))
        a, b = p // self._cell(p), q // self._cell(p)
        every = rearrange(cells, "c n (h a) (w b) -> (h w) (a b c n)", a=a, b=b)
        return every[order]


def histograms(image: Tensor, bins: int, cell: int) -> Tensor:
    """(C, 1, H, W) to (C, bins, H / cell, W / cell), of length 1 along the bins (or 0)."""
    across, down = (x[:, 0] for x in sobel(F.pad(image, (1, 1, 1, 1), mode="reflect")))
    magnitude = torch.sqrt(across.square() + down.square())
    which = torch.floor(torch.atan2(across, down) / math.pi * bins).long() % bins
    votes = F.one_hot(which, bins).permute(0, 3, 1, 2) * magnitude[:, None]
    return F.normalize(F.avg_pool2d(votes, cell) * cell**2, dim=1)


def sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """(..., H + 2, W + 2) to gradients across and down, (..., H, W) each.

    Differences come before sums: exactly 0 where an image is flat. What rounding leaves there
    otherwise would be normalised to a histogram as long as that of an edge.
    """
    across = image[..., :-2] - image[..., 2:]
    down = image[..., :-2, :] - image[..., 2:, :]
    return (
        across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :],
        down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:],
    )
