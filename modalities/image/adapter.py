"""The image adapter: non-overlapping patches of any rectangle, any channels, any number type.

Statistics are in the data's own units and learned from it, so uint8, uint16 and floats need no
conversion and reconstructions come back as the data went in.

Shapes: H rows, W columns, C channels, p and q the patch's height and width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, ClassVar, Literal, Self

import numpy as np
import torch
from einops import rearrange
from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from torch import nn

from anymae.adapter import Adapter
from anymae.errors import BadInput
from anymae.kernels.segments import Segments
from anymae.modalities.image.bands import (
    BandEmbedding,
    BandHead,
    Groups,
    groups_of,
    parted,
    whole,
)
from anymae.modalities.image.files import EXTENSIONS, read_image
from anymae.modalities.image.pixels import ChannelAxis, as_array, guess_channel_axis
from anymae.modalities.image.survey import survey
from anymae.pixels import random_crop_box, refuse_non_finite, resized, with_channels
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens


@register
class ImageAdapter(Adapter):
    """Images as grids of patches.

    Fields that are None are learned from the data by ``fit``: ``patch_size`` from the image size,
    ``image_size`` (rows, columns) if all images share one (else images keep their own shape, at
    most ``max_side`` a side, rounded to whole patches), ``channels``, ``mean`` and ``std`` per
    channel in raw units, ``value_range`` and ``dtype``.

    With ``bands`` a token holds a patch of some channels only, with their group as third
    coordinate: ``"each"`` channel alone, all sharing one embedding and head, or groups of numbered
    channels, such as ``[[0, 1, 2], [3]]``, with an embedding and head each.

    Pretraining crops a random ``crop_scale`` of the area to the full size and flips half of the
    images, as MAE does.
    """

    name: ClassVar[str] = "image"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"grid", "pixels"})

    patch_size: tuple[PositiveInt, PositiveInt] | None = None
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    max_side: int = Field(default=224, gt=0)
    channels: int | None = Field(default=None, gt=0)
    channel_axis: ChannelAxis | None = None
    bands: Literal["each"] | Groups | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None
    value_range: tuple[float, float] | None = None
    dtype: str | None = None
    crop_scale: tuple[float, float] | None = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    pixel_limit: int = Field(default=64_000_000, gt=0, le=178_000_000)
    side_limit: int = Field(default=16_384, gt=0)

    @field_validator("patch_size", "image_size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @field_validator("bands")
    @classmethod
    def _channels_once(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            every = [channel for group in value for channel in group]
            if not all(value) or not every or len(set(every)) < len(every) or min(every) < 0:
                raise ValueError("bands must be groups of channels, each in one group at most")
        return value

    @property
    def token_dim(self) -> int:
        return math.prod(self.token_shape)

    @property
    def token_shape(self) -> tuple[int, ...]:
        """(p, q, C); of bands (p q, channels of the largest group), which are no images."""
        p, q = self.fitted("patch_size")
        if self.bands is None:
            return p, q, self.fitted("channels")
        return p * q, max(len(group) for group in self._groups)

    @property
    def coord_dim(self) -> int:
        return 2 if self.bands is None else 3

    @property
    def _groups(self) -> Groups:
        return groups_of(self.bands or "each", self.fitted("channels"))

    def example(self, seed: int) -> np.ndarray:
        """A (16, 24, 3) uint8 image: a coloured gradient with a bright disc."""
        draw = np.random.default_rng(seed)
        rows, columns = np.mgrid[0:16, 0:24] / 24
        slope = draw.normal(size=(2, 3))
        image = 0.5 + 0.3 * (rows[..., None] * slope[0] + columns[..., None] * slope[1])
        centre = draw.uniform(0.2, 0.6, size=2)
        image[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 0.03] += 0.4
        return (image.clip(0, 1) * 255).astype(np.uint8)

    # -- data -------------------------------------------------------------------------------

    def read(self, file: BinaryIO, name: str) -> np.ndarray:
        return read_image(file, name, self.pixel_limit, self.side_limit)

    def fit(self, samples: Iterable[Any]) -> Self:
        axes: list[ChannelAxis] = []
        common, found = survey(self._in_order(samples, axes), self.channels)
        height, width = common or (self.max_side, self.max_side)
        patch = self.patch_size or (_default_patch(min(height, width)),) * 2
        size = self.image_size or common
        channels = self.channels or found.channels
        if self.bands is not None:
            groups_of(self.bands, channels)
        learned = {
            "patch_size": patch,
            "image_size": size and (_whole(size[0], patch[0]), _whole(size[1], patch[1])),
            "channels": channels,
            "channel_axis": self.channel_axis or (axes[0] if axes else "last"),
            "mean": self.mean or found.mean,
            "std": self.std or found.std,
            "value_range": self.value_range or found.value_range,
            "dtype": self.dtype or found.dtype,
        }
        return self.model_copy(update=learned)

    def augment(self, sample: Any, generator: torch.Generator) -> np.ndarray:
        image = self._array(sample)
        size = self._size_for(image)
        if self.crop_scale is not None:
            top, left, height, width = random_crop_box(
                image.shape[:2], self.crop_scale, self.crop_ratio, generator
            )
            image = resized(image[None, top : top + height, left : left + width], size)[0]
        if self.flip and torch.rand((), generator=generator) < 0.5:
            image = image[:, ::-1]
        return image if self.channel_axis != "first" else image.transpose(2, 0, 1)

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        images = [self._whole_patches(self._array(sample)) for sample in samples]
        if len({image.shape for image in images}) == 1:
            pixels = torch.from_numpy(np.stack(images)).to(device)
            values, grids = self._patches(pixels), [self._grid(images[0])] * len(images)
        else:
            pieces = [
                torch.from_numpy(np.require(image, None, ["C", "W"]))[None] for image in images
            ]
            values = torch.cat([self._patches(piece.to(device)) for piece in pieces])
            grids = [self._grid(image) for image in images]
        coords = torch.cat([_grid_coords(*grid) for grid in grids]).to(device)
        segments = Segments.of_lengths(h * w for h, w in grids)
        if self.bands is None:
            return Packed(values, coords, segments)
        p, q = self.fitted("patch_size")
        values, observed = parted(values, self._groups, p * q)
        count = len(self._groups)
        band = torch.arange(count, device=device).repeat(len(coords))
        coords = torch.cat([coords.repeat_interleave(count, 0), band[:, None]], 1)
        side = {} if observed is None else {OBSERVED: observed}
        return Packed(values, coords, Segments(segments.offsets * count), side)

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        """(H, W, C) in the data's own units, range and number type; where values are missing
        (NaN, or no token), float32 with NaN there."""
        p, q = self.fitted("patch_size")
        patches, coords = tokens.values.float().cpu(), tokens.coords.cpu()
        if self.bands is not None:
            patches, coords = whole(patches, coords, self._groups, self.fitted("channels"))
        rows, columns = (int(n) + 1 for n in coords.amax(0))
        grid = torch.full((rows * columns, patches.shape[1]), float("nan"))
        grid[coords[:, 0] * columns + coords[:, 1]] = patches
        image = rearrange(
            grid.numpy(), "(h w) (p q c) -> (h p) (w q) c", h=rows, w=columns, p=p, q=q
        )
        image = image * np.asarray(self.std) + np.asarray(self.mean)
        if self.value_range is not None:
            image = image.clip(*self.value_range)
        dtype = np.dtype(self.dtype or "float32")
        if dtype.kind == "f" or np.isnan(image).any():
            return image.astype(dtype if dtype.kind == "f" else np.float32)
        return image.round().astype(dtype)

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        """Pixels have learned places where there is one table for all images."""
        known = None not in (self.patch_size, self.image_size)
        if recipe != "pixel-transformer" or self.bands is not None or not known:
            return {}
        (p, q), (height, width) = self.fitted("patch_size"), self.fitted("image_size")
        return {"position": {"kind": "table", "shape": [height // p, width // q]}}

    def embed(self, width: int) -> nn.Module:
        if self.bands is None or self.bands == "each":
            return super().embed(width)
        return BandEmbedding(self.token_shape[0], self._groups, width)

    def head(self, width: int, out: int) -> nn.Module:
        if self.bands is None or self.bands == "each" or out != self.token_dim:
            return super().head(width, out)
        return BandHead(len(self._groups), width, out)

    def draw(self, axes: Any, sample: Any) -> None:
        """Colour or grey (of other numbers of channels the first three), scaled to three standard
        deviations around the mean; missing pixels are transparent."""
        image = as_array(sample, "last")[:, :, :3].astype(np.float64)
        mean, std = np.asarray(self.fitted("mean")), np.asarray(self.fitted("std"))
        low, high = self.value_range or (-np.inf, np.inf)
        low, high = max(low, (mean - 3 * std).min()), min(high, (mean + 3 * std).max())
        image = ((image - low) / (high - low)).clip(0, 1)
        if image.shape[2] < 3:
            image = np.repeat(image[:, :, :1], 3, axis=2)
        seen = np.isfinite(image).all(-1, keepdims=True)
        axes.imshow(np.concatenate([np.nan_to_num(image), seen], -1))
        axes.set_axis_off()

    # -- details ----------------------------------------------------------------------------

    def _in_order(self, samples: Iterable[Any], axes: list[ChannelAxis]) -> Iterator[np.ndarray]:
        """Samples as (H, W, C), noting in ``axes`` where each had its channels."""
        for sample in samples:
            axis = self.channel_axis or guess_channel_axis(np.shape(sample))
            if axis is not None:
                axes.append(axis)
                if axis != axes[0]:
                    raise BadInput(
                        "images disagree on where their channels are",
                        found=f"shape {np.shape(sample)}",
                        expected=f"channels {axes[0]}, as in the samples before",
                        hint="Give modality_options channel_axis.",
                    )
            yield as_array(sample, axis)

    def _array(self, sample: Any) -> np.ndarray:
        array = with_channels(as_array(sample, self.channel_axis), self.fitted("channels"))
        refuse_non_finite(array)
        return array

    def _size_for(self, image: np.ndarray) -> tuple[int, int]:
        """The size, in whole patches, at which an image is tokenized."""
        if self.image_size is not None:
            return self.image_size
        p, q = self.fitted("patch_size")
        shrink = min(1.0, self.max_side / max(image.shape[:2]))
        return _whole(image.shape[0] * shrink, p), _whole(image.shape[1] * shrink, q)

    def _whole_patches(self, image: np.ndarray) -> np.ndarray:
        return resized(image[None], self._size_for(image))[0]

    def _grid(self, image: np.ndarray) -> tuple[int, int]:
        p, q = self.fitted("patch_size")
        return image.shape[0] // p, image.shape[1] // q

    def _patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) raw to (B tokens, p q C) standardised; channels vary fastest, as in MAE."""
        mean = torch.tensor(self.fitted("mean"), device=pixels.device)
        scale = 1 / torch.tensor(self.fitted("std"), device=pixels.device)
        p, q = self.fitted("patch_size")
        standard = (pixels.float() - mean).mul_(scale)
        return rearrange(standard, "b (h p) (w q) c -> (b h w) (p q c)", p=p, q=q)


@lru_cache(maxsize=64)
def _grid_coords(rows: int, columns: int) -> torch.Tensor:
    """(rows * columns, 2) int64: row and column of each patch, row by row."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).view(-1, 2)


def _whole(side: float, patch: int) -> int:
    return max(1, round(side / patch)) * patch


def _default_patch(side: int) -> int:
    for limit, patch in ((16, 2), (48, 4), (112, 8)):
        if side <= limit:
            return patch
    return 16
