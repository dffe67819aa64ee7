"""Columns: what is learned about one column of a table, and its cells as numbers and back.

A numeric cell is one number, standardised or turned to a normal score; a categorical one is a place
among the column's categories, of which the last stands for all that are not among them.

Shapes: n rows, K knots.
"""

from __future__ import annotations

import datetime
import statistics
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat

from anymae.errors import BadInput
from anymae.limits import LIMITS
from anymae.modalities.tabular.cells import EPOCH, Cells, Numbers, Stored, Words

Kind = Literal["numeric", "categorical"]
OTHER = "<other>"
"""What a cell is called whose category is not among those known."""


class Column(BaseModel):
    """One column: its name, its kind and how the data hold it.

    Numeric: ``mean`` and ``std``, and increasing ``knots`` between which the embedding is linear,
    all in the data's own units; ``scores``, one a knot, if values become normal scores.
    Categorical: its ``categories`` in order, and whether there were ``others``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    kind: Kind
    stored: Stored
    mean: float = 0.0
    std: PositiveFloat = 1.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    others: bool = False

    @property
    def slots(self) -> int:
        """Numbers a cell takes: 1, or one a category and one for others."""
        return 1 if self.kind == "numeric" else len(self.categories) + 1

    def encode(self, cells: Cells) -> np.ndarray:
        """(n,) float64: standardised numbers, or places among the categories; NaN where missing.
        Raises ``BadInput`` naming the column."""
        if self.kind == "numeric":
            return self.standardised(self._numbers(cells))
        words = as_words(cells, self.name)
        places = {name: i for i, name in enumerate(self.categories)}
        known = [float(places.get(name, len(places))) for name in words.names]
        return np.array([*known, np.nan])[words.codes]

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """(n,) numbers in the data's units as the model sees them."""
        if self.scores:
            return _interpolated(values, np.array(self.knots), np.array(self.scores))
        return (values - self.mean) / self.std

    def decode_number(self, value: float) -> Any:
        """A number as the data would hold it."""
        if self.scores:
            shown = np.array([value], dtype=np.float64)
            number = float(_interpolated(shown, np.array(self.scores), np.array(self.knots))[0])
        else:
            number = value * self.std + self.mean
        if self.stored == "time":
            return EPOCH + datetime.timedelta(seconds=round(number, 6))
        if self.stored == "duration":
            return datetime.timedelta(seconds=round(number, 6))
        return number if self.stored == "float" else round(number)

    def decode_place(self, place: int) -> Any:
        """A category as the data would hold it."""
        if place >= len(self.categories):
            return OTHER
        word = self.categories[place]
        if self.stored == "bool":
            return word == "True"
        if self.stored == "text":
            return word
        return int(word) if self.stored == "int" else self.decode_number(float(word))

    def _numbers(self, cells: Cells) -> np.ndarray:
        values = cells.values if isinstance(cells, Numbers) else self._parsed(cells)
        wrong = np.abs(values) > LIMITS.magnitude
        if wrong.any():
            raise BadInput(
                "an infinite number, or one too large",
                where=_place(self.name, len(cells), int(wrong.argmax())),
                found=f"{values[wrong][0]:g}",
                expected=f"numbers up to {LIMITS.magnitude:g}",
            )
        return values

    def _parsed(self, words: Words) -> np.ndarray:
        truth = {"False": 0.0, "True": 1.0}
        numbers = []
        for code, name in enumerate(words.names):
            try:
                numbers.append(truth[name] if words.stored == "bool" else float(name))
            except ValueError:
                row = int((words.codes == code).argmax())
                place = _place(self.name, len(words), row)
                raise BadInput("not a number", where=place, found=repr(name)[:100]) from None
        return np.array([*numbers, np.nan])[words.codes]


def learned(
    name: str,
    cells: Cells,
    kind: Kind | None,
    *,
    normal_scores: bool,
    bins: int,
    max_categories: int,
) -> Column:
    """What a column's cells tell. ``kind`` None: texts and booleans are categories, and so are
    integers of at most ten distinct values that occur ten times each on average. Raises
    ``BadInput`` for infinite numbers, and for texts that should be numbers."""
    if (kind or _kind(cells)) == "categorical":
        words = as_words(cells, name)
        counts = np.bincount(words.codes[words.codes >= 0], minlength=len(words.names))
        order = sorted(range(len(counts)), key=lambda i: (-counts[i], words.names[i]))
        kept = [words.names[i] for i in order[:max_categories] if counts[i]]
        return Column(
            name=name,
            kind="categorical",
            stored=words.stored,
            categories=tuple(sorted(kept)),
            others=len(kept) < int(np.count_nonzero(counts)),
        )
    stored = cells.stored if isinstance(cells, Numbers) or cells.stored == "bool" else "float"
    values = Column(name=name, kind="numeric", stored=stored)._numbers(cells)
    values = values[~np.isnan(values)]
    if not len(values):
        return Column(name=name, kind="numeric", stored=stored)
    knots = _knots(values, bins)
    std = float(values.std())
    return Column(
        name=name,
        kind="numeric",
        stored=stored,
        mean=float(values.mean()),
        std=std if std > 1e-12 * max(1.0, float(np.abs(values).max())) else 1.0,
        knots=tuple(knots.tolist()),
        scores=tuple(_normal_scores(values, knots).tolist()) if normal_scores else (),
    )


def _place(name: str, rows: int, row: int) -> str:
    """A cell in words: its row among those looked at; of a single one its caller says which."""
    return f"column {name!r}" + (f", row {row} of {rows}" if rows > 1 else "")


def as_words(cells: Cells, name: str) -> Words:
    """Numbers as categories: each distinct one is a word. Raises ``BadInput``."""
    if isinstance(cells, Words):
        return cells
    values, codes = np.unique(cells.values, return_inverse=True)
    if np.isinf(values).any():
        raise BadInput("an infinite number", where=f"column {name!r}")
    missing = np.isnan(values)
    words = [str(int(v)) if cells.stored == "int" else repr(float(v)) for v in values[~missing]]
    return Words(np.where(missing[codes], -1, codes), words, cells.stored)


def _kind(cells: Cells) -> Kind:
    if isinstance(cells, Words):
        return "categorical"
    if cells.stored != "int":
        return "numeric"
    values = cells.values[~np.isnan(cells.values)]
    distinct = len(np.unique(values))
    return "categorical" if 0 < distinct <= min(10, len(values) // 10) else "numeric"


def _knots(values: np.ndarray, bins: int) -> np.ndarray:
    """At most ``bins`` + 1 increasing values: all distinct ones, or quantiles of the rows and, for
    what lies beside a value that most rows share, of the distinct values."""
    distinct = np.unique(values)
    if len(distinct) <= bins + 1:
        return distinct
    of_rows = np.quantile(values, np.linspace(0, 1, bins // 2 + 1), method="nearest")
    of_distinct = np.quantile(distinct, np.linspace(0, 1, bins - bins // 2), method="nearest")
    return np.unique(np.concatenate([of_rows, of_distinct]))


def _normal_scores(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """(K,) normal quantiles of the middle ranks of the knots, scaled so that the values' scores
    have mean 0 and standard deviation 1."""
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, knots, side) for side in ("left", "right"))
    ranks = (below + up_to) / 2 / len(ordered)
    normal = statistics.NormalDist()
    scores = np.array([normal.inv_cdf(min(max(rank, 1e-4), 1 - 1e-4)) for rank in ranks])
    scores = np.maximum.accumulate(scores + 1e-6 * np.arange(len(scores)))
    all_scores = np.interp(values, knots, scores)
    spread = float(all_scores.std())
    return (scores - all_scores.mean()) / (spread if spread > 0 else 1.0)


def _interpolated(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """(n,) values at x of the line through increasing (xs, ys), which goes on beyond its ends."""
    if len(xs) == 1:
        return x - xs[0] + ys[0]
    place = np.searchsorted(xs, np.nan_to_num(x), side="right").clip(1, len(xs) - 1)
    slope = (ys[place] - ys[place - 1]) / (xs[place] - xs[place - 1])
    return ys[place - 1] + (x - xs[place - 1]) * slope
