"""The time series adapter: patches of steps, per channel or of all channels, or single measurements
at uneven times.

Shapes: T time steps, C channels, p steps a patch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from anymae.errors import BadInput
from anymae.modalities.timeseries import variation
from anymae.modalities.timeseries.embedding import (
    MeasurementEmbedding,
    PatchEmbedding,
    TimePosition,
)
from anymae.modalities.timeseries.frames import EXTENSIONS, read_series
from anymae.modalities.timeseries.natives import opened
from anymae.modalities.timeseries.options import TimeSeriesOptions
from anymae.modalities.timeseries.patches import Rows, cut, rows_of, uncut, window_statistics
from anymae.modalities.timeseries.picture import draw_series
from anymae.modalities.timeseries.series import Series, Steps, as_steps, on_grid, times_of
from anymae.modalities.timeseries.summary import interpolated, summarised
from anymae.modalities.timeseries.survey import Survey, survey
from anymae.parts import explain_invalid
from anymae.positions import Position
from anymae.registry import recipe as recipe_named
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens

MICRO = np.timedelta64(1, "us")


@register
class TimeSeriesAdapter(TimeSeriesOptions):
    """Series of any length, with gaps, evenly spaced or not, as tokens ordered by channel and time;
    ``TimeSeriesOptions`` says how."""

    name: ClassVar[str] = "timeseries"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"time"})

    @property
    def token_shape(self) -> tuple[int, ...]:
        patch = self.fitted("patch")
        return (patch, self.fitted("channel_count")) if self._joint else (patch,)

    @property
    def token_dim(self) -> int:
        return math.prod(self.token_shape)

    @property
    def coord_dim(self) -> int:
        return 1 if self._joint else 2

    def example(self, seed: int) -> np.ndarray | Series:
        """(48, 2): two waves around levels of their own, one twice as fast as the other, with a
        gap; with ``irregular`` at 40 uneven times."""
        draw = np.random.default_rng(seed)
        time = np.arange(48.0)
        if self.irregular:
            time = np.sort(draw.choice(96, 40, replace=False)) / 2
        begin, period = draw.uniform(0, 48), draw.uniform(10, 30)
        phase = 2 * np.pi * (time - begin) / period
        values = np.stack([3 + np.sin(phase), 20 + 5 * np.sin(2 * phase)], 1)
        values += [2, 10] * draw.normal(size=2)
        values += 0.05 * draw.normal(size=values.shape)
        gap = int(draw.integers(8, 24))
        values[gap : gap + 9, 1] = np.nan
        return Series(values, time) if self.irregular else values

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> Sequence[Any] | None:
        """Tables, files of tables, and with ``window`` arrays, as windows of one long series."""
        window = self.window or (None if self.irregular else self.length)
        return opened(dataset, self.window, window, self.stride, self.irregular, self.time_column)

    def read(self, file: BinaryIO, name: str) -> Any:
        return read_series(file, name, self.time_column)

    def fit(self, samples: Iterable[Any]) -> Self:
        found = survey(as_steps(sample, self.time_column) for sample in samples)
        irregular = found.irregular if self.irregular is None else self.irregular
        mixed = irregular or found.channels == 1
        learned = {
            "irregular": irregular,
            "patch": self.patch or (1 if irregular else default_patch(found.typical)),
            "channels": self.channels or ("mixed" if mixed else "independent"),
            "normalise": self.normalise or ("data" if irregular else "instance"),
            "channel_count": self.channel_count or found.channels,
            "length": self.length or found.length,
            "time_unit": self.time_unit or (_unit(found) if irregular else None),
            "mean": self.mean or found.mean,
            "std": self.std or found.std,
        }
        try:
            return type(self)(**{**self.model_dump(), **learned})
        except ValidationError as error:
            raise explain_invalid(error, "modality_options", type(self)) from None

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        steps = as_steps(sample, self.time_column)
        if self.roll:
            steps = variation.rolled(steps, generator)
        if self.crop != (1.0, 1.0):
            steps = variation.cropped(steps, self.crop, generator)
        if self.scale:
            steps = variation.scaled(steps, self.scale, generator)
        if self.jitter:
            steps = variation.jittered(steps, self.jitter, generator)
        return steps

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        series = [self._steps(sample) for sample in samples]
        rows = rows_of([one.values for one in series], self.fitted("patch"), device)
        mean, std = (self._per_channel(field, device) for field in ("mean", "std"))
        values = (rows.values - mean) / std
        context = {"steps": torch.tensor([[len(one)] for one in series], device=device)}
        if self.fitted("normalise") == "instance":
            centre, spread = window_statistics(Rows(values, rows.patch, rows.of_patches))
            values = (values - centre[rows.owners]) / spread[rows.owners]
            context |= {"centre": centre.float(), "spread": spread.float()}
        tokens = cut(Rows(values, rows.patch, rows.of_patches), self._joint)
        _refuse_empty(tokens.segments.lengths)
        time = rows.of_patches.within(device)
        if self.irregular:
            time = self._times(series, device)
            context["origin"] = torch.tensor([[_micros(one)] for one in series], device=device)
        axes = [time[tokens.patch]]
        if not self._joint:
            axes.append(tokens.channel.to(time.dtype))
        return Packed(
            tokens.values,
            torch.stack(axes, 1),
            tokens.segments,
            {OBSERVED: tokens.observed},
            context,
        )

    def untokenize(self, tokens: Tokens) -> np.ndarray | Series:
        """(T, C) float64 in the data's own units, NaN where nothing was observed or a token is
        missing; a ``Series`` of those steps that have tokens where times are uneven."""
        channels = self.fitted("channel_count")
        patch = tokens.coords[:, 0].cpu()
        steps = int(tokens.context["steps"])
        times: Tensor | None = None
        count = -(-steps // self.fitted("patch"))
        if self.irregular:
            times, patch = torch.unique(patch, return_inverse=True)
            steps = count = len(times)
        channel = torch.zeros_like(patch) if self._joint else tokens.coords[:, 1].cpu().long()
        values = tokens.values.cpu().double()
        values = values.masked_fill(~tokens.side[OBSERVED].cpu(), float("nan"))
        table = uncut(values, patch, channel, (count, self.fitted("patch"), channels))[-steps:]
        if self.normalise == "instance":
            table = table * tokens.context["spread"].cpu() + tokens.context["centre"].cpu()
        table = table * self._per_channel("std", "cpu") + self._per_channel("mean", "cpu")
        if times is None:
            return table.numpy()
        origin = int(tokens.context["origin"])
        first = np.datetime64(origin, "us") if origin else None
        return Series(
            table.numpy(), times_of(times.double().numpy() * self.fitted("time_unit"), first)
        )

    def raw_features(self, tokens: Tokens) -> Tensor:
        """Every channel's values, gaps bridged by straight lines, at as many steps as the training
        series had (128 where these differed), in turn; of uneven times each channel's count, mean,
        deviation, least, largest, first and last value."""
        steps = as_steps(self.untokenize(tokens))
        mean = np.asarray(self.fitted("mean"))
        if self.irregular:
            return torch.from_numpy(summarised(steps.values, mean)).float()
        return torch.from_numpy(interpolated(steps.values, mean, self.length or 128)).float()

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        """Content is normalised by series, not by token; independent channels do not meet."""
        own: dict[str, Any] = {}
        method = recipe_named(recipe)
        if method.target.kind == "content":
            own["target.normalise"] = "none"
        if recipe == "mae":
            own["mask.ratio"] = 0.5
        # Attention is a class token's, and that must meet every token.
        alone = self.channels == "independent" and method.mask.priority.kind != "attention"
        if alone and self.channel_count != 1:
            own |= {
                "encoder.layout": "window",
                "encoder.window": (None, 1.0),
                "encoder.shifted": False,
                "encoder.global_every": 0,
                "encoder.cls": False,
            }
        return own

    def embed(self, width: int) -> nn.Module:
        channels = self.fitted("channel_count")
        if self.token_dim == 1 and self.channels == "mixed" and channels > 1:
            return MeasurementEmbedding(channels, width)
        return PatchEmbedding(self.token_dim, width)

    def place(self, position: Position, width: int) -> nn.Module:
        """The recipe's position of the time alone; mixed channels have a learned one each."""
        channels = self.fitted("channel_count")
        known = channels if self.channels == "mixed" and channels > 1 else None
        return TimePosition(position.build(1, width), known, width)

    def draw(self, axes: Any, sample: Any) -> None:
        """A line a channel, above one another, each over its range in the training data; steps
        that are missing are shaded."""
        steps = as_steps(sample)
        scale = np.asarray(self.fitted("mean")), np.asarray(self.fitted("std"))
        draw_series(axes, steps.values, steps.times, *scale)

    # -- details ----------------------------------------------------------------------------

    @property
    def _joint(self) -> bool:
        return self.channels == "joint"

    def _per_channel(self, field: str, device: torch.device | str) -> Tensor:
        return torch.tensor(self.fitted(field), dtype=torch.float64, device=device)

    def _steps(self, sample: Any) -> Steps:
        """A sample with the channels and the kind of times that this adapter knows."""
        steps = as_steps(sample, self.time_column)
        wanted = self.fitted("channel_count")
        if steps.values.shape[1] != wanted:
            raise BadInput("wrong number of channels", found=steps.values.shape[1], expected=wanted)
        if self.irregular:
            if steps.times is None:
                raise BadInput(
                    "a series without times among irregular ones",
                    hint="Pass anymae.modalities.timeseries.Series(values, times).",
                )
            return steps
        even = on_grid(steps)
        if even is None:
            raise BadInput(
                "the times of this series are uneven",
                expected="evenly spaced steps, as in the training data",
                hint="Train with modality_options irregular=True.",
            )
        return even

    def _times(self, series: Sequence[Steps], device: torch.device | str) -> Tensor:
        """(N,) the time of every step, in ``time_unit``."""
        times = np.concatenate([one.times for one in series if one.times is not None])
        return torch.from_numpy(times / self.fitted("time_unit")).float().to(device)


def default_patch(length: float) -> int:
    """The power of two, at most 16, that cuts a series of this length nearest to 32 patches."""
    return int(2 ** min(4, max(0, round(math.log2(max(length, 1) / 32)))))


def _unit(found: Survey) -> float:
    return found.spacing or 1.0


def _micros(steps: Steps) -> int:
    """When a series of dates begins, in microseconds after 1970; 0 without dates."""
    if steps.origin is None:
        return 0
    return int((steps.origin - np.datetime64(0, "us")) / MICRO)


def _refuse_empty(lengths: Tensor) -> None:
    if bool((lengths == 0).any()):
        raise BadInput("a series in which nothing is observed", found="NaN only")
