"""A series as numbers and the times they belong to, whatever form it comes in.

Shapes: T time steps, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from anymae.errors import BadInput
from anymae.limits import LIMITS

UNEVEN = 0.15
"""A step may differ from the usual one by this fraction and still be one: months do."""
MOST_GAPS = 10
"""A series on a grid is filled up with missing steps to at most this many times its length."""


@dataclass(frozen=True, eq=False)
class Series:
    """A series with times: ``values`` (T, C) or (T,), NaN where nothing was measured, at
    ``times`` (T,), rising numbers in any unit or numpy dates. Steps need not be even."""

    values: Any
    times: Any

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the values."""
        return tuple(np.shape(self.values))


@dataclass(frozen=True, eq=False)
class Steps:
    """A checked series: ``values`` (T, C) real numbers with NaN for missing ones, ``times`` (T,)
    float64 rising, in seconds after ``origin`` where they are dates; None without times."""

    values: np.ndarray
    times: np.ndarray | None = None
    origin: np.datetime64 | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> Steps:
        """Some consecutive steps, as views."""
        times = None if self.times is None else self.times[start:stop]
        return Steps(self.values[start:stop], times, self.origin)

    def sample(self) -> Any:
        """The steps as an array, or as a ``Series`` where they have times."""
        if self.times is None:
            return self.values
        return Series(self.values, times_of(self.times, self.origin))


def as_steps(sample: Any, time_column: str | None = None) -> Steps:
    """An array, tensor, list, ``Series``, pandas Series or DataFrame as ``Steps``, values without
    a copy where possible. Raises ``BadInput``."""
    if isinstance(sample, Steps):
        return sample
    if type(sample).__module__.split(".")[0] == "pandas":
        from anymae.modalities.timeseries.frames import series_of

        sample = series_of(sample, time_column)
    if not isinstance(sample, Series):
        return Steps(_numbers(sample))
    values = _numbers(sample.values)
    return Steps(values, *_seconds(sample.times, len(values)))


def times_of(times: np.ndarray, origin: np.datetime64 | None) -> np.ndarray:
    """Times as they came: dates, to the microsecond, where there is an ``origin``."""
    if origin is None:
        return times
    return origin + (times * 1e6).round().astype("timedelta64[us]")


def on_grid(steps: Steps) -> Steps | None:
    """The series without times, evenly spaced as it is or with missing steps filled in as NaN;
    None where its times lie on no grid."""
    if steps.times is None:
        return steps
    if len(steps) < 3:
        return Steps(steps.values)
    apart = np.diff(steps.times)
    usual = np.median(apart)
    many = np.round(apart / usual)
    even = (many >= 1) & (np.abs(apart / usual - many) <= UNEVEN)
    rows = 1 + many.sum()
    if not even.all() or rows > MOST_GAPS * len(steps):
        return None
    if rows == len(steps):
        return Steps(steps.values)
    places = np.concatenate([[0], many.cumsum()]).astype(np.int64)
    filled = np.full((int(rows), steps.values.shape[1]), np.nan)
    filled[places] = steps.values
    return Steps(filled)


def _numbers(values: Any) -> np.ndarray:
    """(T, C) real numbers."""
    if isinstance(values, torch.Tensor):
        values = values.numpy(force=True)
    elif isinstance(values, (list, tuple)):
        try:
            values = np.asarray(values, dtype=np.float64)  # None, in a list, is a missing number
        except (TypeError, ValueError) as error:
            raise BadInput(f"not a table of numbers: {error}") from None
    array = np.asarray(values)
    if array.dtype.kind not in "uifb":
        raise BadInput(
            "a series must hold real numbers", found=f"{type(values).__name__} of {array.dtype}"
        )
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise BadInput(
            "not a time series",
            found=f"shape {array.shape}",
            expected="(time,) or (time, channels), nothing empty",
        )
    array = array[:, None] if array.ndim == 1 else array
    if array.dtype.kind == "f":
        wrong = np.abs(array) > np.float64(LIMITS.magnitude)
        if wrong.any():
            row, channel = np.argwhere(wrong)[0]
            raise BadInput(
                "infinite value, or too large",
                where=f"step {row}, channel {channel}",
                found=array[row, channel],
                expected=f"numbers up to {LIMITS.magnitude:g}, NaN for missing ones",
            )
    return array


def _seconds(times: Any, length: int) -> tuple[np.ndarray, np.datetime64 | None]:
    """Times as rising float64 numbers; dates as seconds after the first."""
    if isinstance(times, torch.Tensor):
        times = times.numpy(force=True)
    array = np.asarray(times)
    if array.shape != (length,):
        raise BadInput(
            "times and values disagree", found=f"times {array.shape}", expected=f"({length},)"
        )
    origin = None
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
        if np.isnat(array).any():
            raise BadInput("a time is missing", where=f"step {int(np.isnat(array).argmax())}")
        origin = array[0]
        array = (array - origin).astype(np.float64) / 1e6
    if array.dtype.kind not in "uif":
        raise BadInput("times must be numbers or dates", found=f"times of {array.dtype}")
    array = array.astype(np.float64)
    wrong = np.flatnonzero(~(np.diff(array) > 0))  # also true of NaN
    if len(wrong) or not np.isfinite(array).all():
        step = int(wrong[0]) + 1 if len(wrong) else 0
        raise BadInput(
            "times must rise",
            where=f"step {step}",
            found=f"{array[max(step - 1, 0)]:g}, then {array[step]:g}",
            hint="Sort the rows by time, and join those of one time.",
        )
    return array, origin
