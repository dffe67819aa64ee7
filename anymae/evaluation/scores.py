"""Scores: what an evaluation found, beside raw features and random weights, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from anymae.evaluation.intervals import Interval
from anymae.evaluation.record import Record


@dataclass(frozen=True, eq=False)
class Score(Record):
    """One number with its 95 % interval; ``how`` says what the interval is over. ``details``
    holds further figures of the same features."""

    value: float
    interval: Interval
    how: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"


@dataclass(frozen=True, eq=False)
class Scores(Record):
    """An evaluation: ``value`` of the pretrained features in ``metric`` with its 95 %
    ``interval``, and the same protocol on ``raw`` features and on a ``random_init`` encoder.

    ``over_raw`` and ``over_random_init`` are the differences, on the same test samples: where
    higher is ``better``, an interval above 0 says that pretraining helped, else one below 0.
    ``how`` says what the interval is over, ``raw_features`` what the raw features are;
    ``details`` holds further figures.
    """

    value: float
    metric: str
    interval: Interval
    raw: Score
    random_init: Score
    over_raw: Score
    over_random_init: Score
    protocol: str
    task: str
    train_samples: int
    test_samples: int
    how: str
    raw_features: str
    details: Mapping[str, Any] = field(default_factory=dict)
    better: Literal["higher", "lower"] = "higher"

    def __str__(self) -> str:
        rows = [("features", *self._columns()), *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self._title(), *lines, *self._notes()])

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table(title=self._title(), caption="\n".join(self._notes()))
        table.add_column("features")
        for column in self._columns():
            table.add_column(column, justify="right")
        for row in self._rows():
            table.add_row(*row, style="bold" if row[0] == "pretrained" else None)
        return table

    def _title(self) -> str:
        sizes = f"{self.train_samples:,} training and {self.test_samples:,} test samples"
        hint = "" if self.better == "higher" else ", lower is better"
        return f"{self.protocol} {self.task}, {sizes}{hint}"

    def _columns(self) -> tuple[str, str]:
        return self.metric, "95 % interval"

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        own = Score(self.value, self.interval, self.how, self.details)
        for name, score in (
            ("pretrained", own),
            ("raw", self.raw),
            ("random init", self.random_init),
            ("pretrained - raw", self.over_raw),
            ("pretrained - random init", self.over_random_init),
        ):
            sign = "+" if " - " in name else ""
            low, high = score.interval
            yield name, f"{score.value:{sign}.3f}", f"{low:{sign}.3f} to {high:{sign}.3f}"
        for name, found in self.details.items():
            if isinstance(found, Score):
                low, high = found.interval
                yield f"pretrained, {name}", f"{found.value:.3f}", f"{low:.3f} to {high:.3f}"

    def _notes(self) -> list[str]:
        return [
            f"intervals: {self.how}; random init: {self.random_init.how}",
            f"raw: {self.raw_features}",
        ]
