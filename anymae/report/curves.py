"""Curves: which columns of the histories the report draws, for one run or for several."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from anymae.report.chart import Frame, Line, svg
from anymae.report.formats import number
from anymae.report.pictures import THEMES
from anymae.report.record import RunRecord

COLOURS = ("#3b82f6", "#f08c2e", "#12a37a", "#a85cf0", "#e5484d", "#06a5c4", "#b8930b", "#e255a1")
"""Legible on light and on dark; runs of a comparison take them in turn, then again dashed."""


@dataclass(frozen=True)
class Panel:
    """A picture of the page: its ``title`` and unit, what it shows in words, whether it is
    ``wide``, and a data URI by theme."""

    title: str
    unit: str
    description: str
    wide: bool
    images: dict[str, str]


@dataclass(frozen=True)
class _Kind:
    """A panel before it is drawn; ``columns`` are training's and, if there is one, validation's."""

    title: str
    columns: tuple[str, ...]
    unit: str
    wide: bool = False
    shares: bool = False


_KINDS = (
    _Kind("Masked loss", ("loss", "validation_loss"), "per asked token", wide=True),
    _Kind(
        "Explained variance",
        ("explained_variance", "validation_explained_variance"),
        "share of the best trivial guess's loss removed",
        wide=True,
        shares=True,
    ),
    _Kind("Learning rate", ("lr",), ""),
    _Kind("Gradient norm", ("grad_norm",), "before clipping"),
    _Kind("Throughput", ("tokens_per_second",), "tokens a second"),
)


def panels(records: Sequence[RunRecord]) -> list[Panel]:
    """The panels of one run, or of several laid over each other; empty without history.

    Several runs are compared on validation figures where all have them, else on training ones;
    their legend is on the page, so that no name is ever drawn.
    """
    found = []
    for kind in _KINDS:
        column = _compared_column(kind, records)
        one = len(records) == 1
        lines = _own_lines(kind, records[0]) if one else _lines(column, records)
        if not lines:
            continue
        frame = Frame(kind.wide, kind.shares)
        images = {
            name: data_uri(svg(frame, lines, theme), "image/svg+xml")
            for name, theme in THEMES.items()
        }
        validation = not one and column.startswith("validation")
        title = f"{kind.title}, validation" if validation else kind.title
        found.append(Panel(title, kind.unit, _described(title, lines), kind.wide, images))
    return found


def data_uri(content: bytes, media: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def _compared_column(kind: _Kind, records: Sequence[RunRecord]) -> str:
    column = kind.columns[-1]
    return column if all(record.series(column)[0] for record in records) else kind.columns[0]


def _lines(column: str, records: Sequence[RunRecord]) -> list[Line]:
    lines = []
    for i, record in enumerate(records):
        steps, values = record.series(column)
        if steps:
            colour, dashed = COLOURS[i % len(COLOURS)], i >= len(COLOURS)
            lines.append(Line(steps, values, colour, dashed=dashed))
    return lines


def _own_lines(kind: _Kind, record: RunRecord) -> list[Line]:
    lines = []
    for column, colour in zip(kind.columns, COLOURS, strict=False):
        steps, values = record.series(column)
        prefix = "validation_" if column.startswith("validation") else ""
        label = None if len(kind.columns) == 1 else "validation" if prefix else "training"
        level = record.trivial(prefix) if column == f"{prefix}loss" else None
        if steps:
            lines.append(Line(steps, values, colour, label, level))
    return lines


def _described(title: str, lines: Sequence[Line]) -> str:
    """The panel for those who cannot see it."""
    told = [
        f"{line.label or 'curve'}: {number(line.values[0])} at step {line.steps[0]}, "
        f"{number(line.values[-1])} at step {line.steps[-1]}"
        for line in lines
    ]
    return f"{title}. {'; '.join(told)}."
