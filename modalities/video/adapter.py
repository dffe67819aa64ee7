"""The video adapter: tubes of t frames x p rows x q columns, of clips of any length and size.

Statistics are in the data's own units and learned from it, so no conversion is needed and
reconstructions come back as the data went in.

Shapes: T frames of a video, H rows, W columns, C channels; t, p and q frames, rows and columns of
a tube.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from torch import nn

from anymae.adapter import Adapter, LinearEmbedding
from anymae.errors import BadInput
from anymae.kernels.segments import Segments
from anymae.limits import LIMITS
from anymae.modalities.video.files import EXTENSIONS, FrameLimits, VideoFile
from anymae.modalities.video.folders import FrameFolders, frame_folders
from anymae.modalities.video.frames import ChannelAxis, Clip, Frames, as_frames, guess_channel_axis
from anymae.modalities.video.sampling import (
    at_random,
    default_patch,
    default_stride,
    middle,
    whole,
)
from anymae.modalities.video.strip import draw_strip
from anymae.modalities.video.survey import survey
from anymae.modalities.video.tubes import PartialTubeEmbedding, cut, joined, known, motion, places
from anymae.pixels import Box, random_crop_box, refuse_non_finite, with_channels
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens


@register
class VideoAdapter(Adapter):
    """Videos as grids of tubes.

    A sample is a clip: up to ``frames`` frames, every ``stride``-th one, from a random place in
    pretraining and from the middle otherwise. ``frames=None`` takes whole videos. Shorter videos
    give shorter clips; nothing is repeated or padded.

    Fields that are None are learned by ``fit``: ``stride`` (clips span most of the median video,
    at most every 4th frame), ``patch_size`` (t, p, q) from the frame size, ``image_size`` (rows,
    columns) if all videos share one (else they keep their own shape, at most ``max_side`` a side,
    rounded to whole patches), ``channels``, ``mean`` and ``std`` per channel in raw units,
    ``value_range``, ``dtype``, and ``partial_tubes``: whether clips may end inside a tube, whose
    absent frames are then not observed. Where they may not, such a clip drops its last frames.

    Pretraining crops a random ``crop_scale`` of the area, the same of all frames, to the full
    size. It does not flip, unless told: in videos left and right are often what matters.
    ``motion`` adds ``side["motion"]``, each tube's mean absolute change between frames, for
    ``mask.priority={"kind": "given", "field": "motion"}``: what moves is hidden.
    """

    name: ClassVar[str] = "video"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"grid", "time", "pixels"})
    fit_samples: ClassVar[int] = 256

    patch_size: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    frames: int | None = Field(default=16, gt=0)
    stride: int | None = Field(default=None, gt=0)
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    max_side: int = Field(default=224, gt=0)
    channels: int | None = Field(default=None, gt=0)
    channel_axis: ChannelAxis | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None
    value_range: tuple[float, float] | None = None
    dtype: str | None = None
    partial_tubes: bool | None = None
    crop_scale: tuple[float, float] | None = (0.5, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False
    motion: bool = False
    pixel_limit: int = Field(default=LIMITS.image_pixels, gt=0)
    side_limit: int = Field(default=LIMITS.image_side, gt=0)
    frame_limit: int = Field(default=1_000_000, gt=0)
    clip_limit: int = Field(default=512_000_000, gt=0)

    @field_validator("patch_size", mode="before")
    @classmethod
    def _two_frames(cls, value: Any) -> Any:
        return (2, value, value) if isinstance(value, int) else value

    @field_validator("image_size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @property
    def token_dim(self) -> int:
        t, p, q = self.fitted("patch_size")
        return t * p * q * self.fitted("channels")

    @property
    def token_shape(self) -> tuple[int, ...]:
        return (*self.fitted("patch_size"), self.fitted("channels"))

    @property
    def coord_dim(self) -> int:
        return 3

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        """VideoMAE's mask: the same places are hidden in all frames, 90 % of them; 75 % where
        there are few, as in VideoMAE's settings for small data."""
        if recipe != "mae" or self.patch_size is None:
            return {}
        _, p, q = self.fitted("patch_size")
        height, width = self.image_size or (self.max_side, self.max_side)
        few = (height // p) * (width // q) < 100
        return {
            "mask.ratio": 0.75 if few else 0.9,
            "mask.groups": {"kind": "axis", "axes": [1, 2]},
        }

    def embed(self, width: int) -> nn.Module:
        if self.fitted("partial_tubes"):
            return PartialTubeEmbedding(self.token_dim, self.fitted("patch_size")[0], width)
        return LinearEmbedding(self.token_dim, width)

    def example(self, seed: int) -> np.ndarray:
        """A (8, 16, 24, 3) uint8 video: a bright disc that crosses a coloured gradient."""
        draw = np.random.default_rng(seed)
        time, rows, columns = np.mgrid[0:8, 0:16, 0:24] / 24
        slope = draw.normal(size=(2, 3))
        video = 0.5 + 0.3 * (rows[..., None] * slope[0] + columns[..., None] * slope[1])
        (y, x), (dy, dx) = draw.uniform(0.2, 0.5, size=2), draw.uniform(-1, 1, size=2)
        disc = (rows - y - dy * time) ** 2 + (columns - x - dx * time) ** 2 < 0.03
        video[disc] += 0.4
        return (video.clip(0, 1) * 255).astype(np.uint8)

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> tuple[FrameFolders, list[str]] | FrameFolders | None:
        """Frame folders: a folder of folders of images (see ``frame_folders``), one folder of
        images, or a list of such folders."""
        if isinstance(dataset, str | os.PathLike):
            root = os.path.expanduser(os.fspath(dataset))
            found = frame_folders(root) if os.path.isdir(root) else None
            if found is None:
                return None
            videos = FrameFolders(found[0], self._limits())
            return videos if found[1] is None else (videos, found[1])
        if isinstance(dataset, list) and dataset:
            paths = [os.fspath(d) for d in dataset if isinstance(d, str | os.PathLike)]
            if len(paths) == len(dataset) and all(os.path.isdir(path) for path in paths):
                return FrameFolders(paths, self._limits())
        return None

    def read(self, file: BinaryIO, name: str) -> VideoFile:
        return VideoFile(file, name, self._limits())

    def fit(self, samples: Iterable[Any]) -> Self:
        axes: list[ChannelAxis] = []
        # The stride is not known before all lengths are: statistics are of adjacent frames.
        adjacent = lambda length: middle(length, self.frames, self.stride or 1)  # noqa: E731
        lengths, common, found = survey(self._in_order(samples, axes), self.channels, adjacent)
        height, width = common or (self.max_side, self.max_side)
        patch = self.patch_size or (2, *(default_patch(min(height, width)),) * 2)
        size = self.image_size or common
        stride = self.stride or default_stride(lengths, self.frames)
        partial = any(len(middle(n, self.frames, stride)) % patch[0] for n in lengths)
        learned = {
            "patch_size": patch,
            "stride": stride,
            "image_size": size and (whole(size[0], patch[1]), whole(size[1], patch[2])),
            "channels": self.channels or found.channels,
            "channel_axis": self.channel_axis or (axes[0] if axes else "last"),
            "mean": self.mean or found.mean,
            "std": self.std or found.std,
            "value_range": self.value_range or found.value_range,
            "dtype": self.dtype or found.dtype,
            "partial_tubes": partial if self.partial_tubes is None else self.partial_tubes,
        }
        return self.model_copy(update=learned)

    def augment(self, sample: Any, generator: torch.Generator) -> Clip:
        video = as_frames(sample, self.channel_axis)
        chosen = at_random(video.length, self.frames, self.fitted("stride"), generator)
        box = None
        if self.crop_scale is not None:
            box = random_crop_box(video.size, self.crop_scale, self.crop_ratio, generator)
        clip = self._clip(video, chosen, box)
        if self.flip and torch.rand((), generator=generator) < 0.5:
            clip = clip[:, :, ::-1]
        return Clip(clip)

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        clips = [self._middle(as_frames(sample, self.channel_axis)) for sample in samples]
        alike = len({clip.shape for clip in clips}) == 1
        stacks = [np.stack(clips)] if alike else [clip[None] for clip in clips]
        pixels = [self._standard(torch.from_numpy(stack).to(device)) for stack in stacks]
        tube = self.fitted("patch_size")
        grids = [self._grid(clip) for clip in clips]
        side, context = {}, {}
        if self.motion:
            side["motion"] = torch.cat([motion(stack, tube) for stack in pixels])
        if self.fitted("partial_tubes"):
            lengths = [len(clip) for clip in clips]
            there = [known(n, grid, tube) for n, grid in zip(lengths, grids, strict=True)]
            numbers = self.token_dim // tube[0]
            side[OBSERVED] = torch.cat(there).to(device).repeat_interleave(numbers, 1)
            context["frames"] = torch.tensor(lengths, device=device)
        return Packed(
            values=torch.cat([cut(stack, tube) for stack in pixels]),
            coords=torch.cat([places(grid) for grid in grids]).to(device),
            segments=Segments.of_lengths(n * h * w for n, h, w in grids),
            side=side,
            context=context,
        )

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        """(T, H, W, C) in the data's own units, range and number type; where values are missing
        (NaN, or no token), float32 with NaN there."""
        n, h, w = (int(size) + 1 for size in tokens.coords.amax(0))
        values = torch.full((n * h * w, tokens.values.shape[1]), float("nan"))
        time, row, column = tokens.coords.cpu().unbind(1)
        values[(time * h + row) * w + column] = tokens.values.float().cpu()
        video = joined(values, (n, h, w), self.fitted("patch_size")).numpy()
        if "frames" in tokens.context:
            video = video[: int(tokens.context["frames"])]
        video = video * np.asarray(self.std) + np.asarray(self.mean)
        if self.value_range is not None:
            video = video.clip(*self.value_range)
        dtype = np.dtype(self.dtype or "float32")
        if dtype.kind == "f" or np.isnan(video).any():
            return video.astype(dtype if dtype.kind == "f" else np.float32)
        return video.round().astype(dtype)

    def draw(self, axes: Any, sample: Any) -> None:
        """Up to eight frames, evenly spaced, in reading order, two a row."""
        mean, std = self.fitted("mean"), self.fitted("std")
        draw_strip(axes, np.asarray(sample), mean, std, self.value_range)

    # -- details ----------------------------------------------------------------------------

    def _limits(self) -> FrameLimits:
        return FrameLimits(pixels=self.pixel_limit, side=self.side_limit, frames=self.frame_limit)

    def _in_order(self, samples: Iterable[Any], axes: list[ChannelAxis]) -> Iterator[Frames]:
        """Videos as ``Frames``, noting in ``axes`` where each array had its channels."""
        for sample in samples:
            axis = self.channel_axis
            if axis is None and not isinstance(sample, Frames):
                axis = guess_channel_axis(np.shape(sample))
            if axis is not None:
                axes.append(axis)
                if axis != axes[0]:
                    raise BadInput(
                        "videos disagree on where their channels are",
                        found=f"shape {np.shape(sample)}",
                        expected=f"channels {axes[0]}, as in the samples before",
                        hint="Give modality_options channel_axis.",
                    )
            yield as_frames(sample, axis)

    def _middle(self, video: Frames) -> np.ndarray:
        """The clip that stands for a video: all of it if ``augment`` chose it."""
        chosen = range(video.length)
        if not isinstance(video, Clip):
            chosen = middle(video.length, self.frames, self.fitted("stride"))
        return self._clip(video, chosen, None)

    def _clip(self, video: Frames, chosen: range, box: Box | None) -> np.ndarray:
        """(T, H, W, C) as it is tokenized: the chosen frames in whole patches, and whole tubes
        unless they may be partial."""
        t = self.fitted("patch_size")[0]
        if not self.fitted("partial_tubes"):
            chosen = chosen[: len(chosen) // t * t]
        if not len(chosen):
            raise BadInput(
                "a video shorter than one tube",
                found=f"{video.length} frames",
                expected=f"at least {t}",
                hint="Give modality_options partial_tubes=true, or a patch_size of fewer frames.",
            )
        size = self._size_for(video.size)
        self._refuse_huge(len(chosen), size)
        clip = with_channels(video.clip(chosen, box, size), self.fitted("channels"))
        refuse_non_finite(clip)
        return clip

    def _size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size, in whole patches, at which frames are tokenized."""
        if self.image_size is not None:
            return self.image_size
        _, p, q = self.fitted("patch_size")
        shrink = min(1.0, self.max_side / max(size))
        return whole(size[0] * shrink, p), whole(size[1] * shrink, q)

    def _refuse_huge(self, frames: int, size: tuple[int, int]) -> None:
        if frames * size[0] * size[1] > self.clip_limit:
            raise BadInput(
                "a clip too large to hold in memory",
                found=f"{frames} frames of {size[1]} x {size[0]} pixels",
                expected=f"at most {self.clip_limit:,} pixels",
                hint="Give modality_options frames, stride or a smaller max_side.",
            )

    def _grid(self, clip: np.ndarray) -> tuple[int, int, int]:
        t, p, q = self.fitted("patch_size")
        return -(-clip.shape[0] // t), clip.shape[1] // p, clip.shape[2] // q

    def _standard(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, T, H, W, C) raw to standardised."""
        mean = torch.tensor(self.fitted("mean"), device=pixels.device)
        scale = 1 / torch.tensor(self.fitted("std"), device=pixels.device)
        return (pixels.float() - mean).mul_(scale)
