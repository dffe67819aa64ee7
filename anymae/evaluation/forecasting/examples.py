"""Examples: every look-back of long series and the steps that follow it.

Shapes: T time steps, C channels, L steps of a look-back, H of a horizon, n examples, b of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymae.adapter import Adapter
from anymae.data.sources import Source
from anymae.data.sources.arrays import Samples
from anymae.errors import BadConfig, BadInput, IncompatibleRecipe

FLOOR = 1e-5
"""Added to a look-back's variance, in units of the data's."""
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (C,) of the training series' channels."""

    mean: Table
    std: Table

    @classmethod
    def of(cls, series: Sequence[Table]) -> Scale:
        """Raises ``BadInput`` for channels of which nothing is known."""
        values = np.concatenate(list(series))
        unknown = np.flatnonzero(np.isnan(values).all(0))
        if len(unknown):
            raise BadInput(
                "a channel without a single value cannot be forecast",
                where=f"channel {unknown[0]}",
            )
        std = np.nanstd(values, 0)
        return cls(np.nanmean(values, 0), np.where(std > 0, std, 1.0))


@dataclass(frozen=True)
class Batch:
    """Examples in units of the training data's deviation: ``past`` (b, C, L) and ``future``
    (b, C, H); ``centre`` and ``spread`` (b, C, 1) are the past's mean and deviation; ``samples``
    are the raw look-backs (L, C)."""

    samples: list[Table]
    past: Tensor
    future: Tensor
    centre: Tensor
    spread: Tensor

    @property
    def normal_past(self) -> Tensor:
        """(b, C, L) with mean 0 and deviation 1."""
        return (self.past - self.centre) / self.spread


@dataclass(frozen=True)
class Examples:
    """Windows of ``look_back`` and ``horizon`` steps at ``places`` (n, 2): series, first step."""

    series: Sequence[Table]
    places: NDArray[np.int64]
    look_back: int
    horizon: int
    scale: Scale

    @classmethod
    def of(
        cls,
        series: Sequence[Table],
        look_back: int,
        horizon: int,
        scale: Scale,
        stride: int = 1,
        role: str = "train",
    ) -> Examples:
        """Every complete window, ``stride`` apart; windows with missing values are left out.
        Raises ``BadInput`` if there is none."""
        size = look_back + horizon
        places = []
        for number, values in enumerate(series):
            missing = np.isnan(values).any(1).cumsum()
            before = np.concatenate([[0], missing])
            starts = np.arange(0, len(values) - size + 1, stride)
            starts = starts[before[starts + size] == before[starts]] if len(starts) else starts
            places.append(np.stack([np.full(len(starts), number), starts], 1))
        found = np.concatenate(places).astype(np.int64)
        if not len(found):
            raise BadInput(
                "no series holds a look-back and a horizon without missing values",
                where=role,
                found=f"at most {max(map(len, series))} steps",
                expected=f"at least {look_back} + {horizon}",
                hint="Pass long series, the test set as one of its own.",
            )
        return cls(series, found, look_back, horizon, scale)

    def __len__(self) -> int:
        return len(self.places)

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """All examples in order, with their indices."""
        for start in range(0, len(self), size):
            which = np.arange(start, min(start + size, len(self)))
            yield which, self.batch(which)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """The examples at indices ``which`` (b,)."""
        size = self.look_back + self.horizon
        raw = [self.series[s][start : start + size] for s, start in self.places[which]]
        values = (np.stack(raw) - self.scale.mean) / self.scale.std
        standard = torch.from_numpy(values).transpose(1, 2)
        past, future = standard.split([self.look_back, self.horizon], 2)
        centre = past.mean(2, keepdim=True)
        spread = (past.var(2, keepdim=True, correction=0) + FLOOR).sqrt()
        numbers = (x.float() for x in (past, future, centre, spread))
        return Batch([one[: self.look_back] for one in raw], *numbers)


def whole_series(source: Source, adapter: Adapter) -> list[Table]:
    """Every long series of a data set as (T, C) in the data's own units, as its adapter reads it;
    of samples that are windows (a sequence with ``series``), those they were cut from. Raises
    ``IncompatibleRecipe``, ``BadInput``."""
    if "time" not in adapter.provides or adapter.coord_dim != 2:
        raise IncompatibleRecipe(
            f"forecasting needs tokens of single channels in time, which {adapter.name} does not "
            "make here",
            hint="Use timeseries with channels='independent' or 'mixed'.",
        )
    whole = getattr(source.samples, "series", None) if isinstance(source, Samples) else None
    samples: Iterable[Any] = source if whole is None else whole
    found: list[Table] = []
    for sample in samples:
        series: Any = adapter.untokenize(adapter.tokenize(sample))
        if not isinstance(series, np.ndarray) or series.ndim != 2:
            raise IncompatibleRecipe("forecasting needs evenly spaced series (time, channels)")
        found.append(series.astype(np.float64))
    return found


def look_back_of(adapter: Adapter, asked: int | None) -> int:
    """The look-back asked for, or the length of the series the model was trained on."""
    length = asked or getattr(adapter, "length", None)
    if length is None:
        raise BadConfig(
            "look_back is needed: the model was trained on series of several lengths",
            where="forecasting",
        )
    return int(length)
