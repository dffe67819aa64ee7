"""Curves: how loss, learning rate, gradients and speed went, as pictures for the report.

Each panel is drawn twice, for light and for dark pages, as SVG with the reader's own fonts.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anymae.report.formats import large, number
from anymae.report.pictures import THEMES, Theme, blank
from anymae.report.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#3b82f6", "#f08c2e", "#12a37a", "#a85cf0", "#e5484d", "#06a5c4", "#b8930b", "#e255a1")
"""Legible on light and on dark; runs of a comparison take them in turn."""
WORST_SHOWN = -1.0
"""Explained variance below this leaves the picture: the first steps would flatten the rest."""
_PIXELS = 96.0
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "svg.hashsalt": "anymae",
}


@dataclass(frozen=True)
class Panel:
    """A picture of the page: its ``title``, what it shows in words, and a data URI by theme."""

    title: str
    description: str
    wide: bool
    images: dict[str, str]


@dataclass(frozen=True)
class Line:
    """A curve: steps and values; ``label`` is for pictures of one run (a comparison's legend is
    on the page), ``level`` a dashed horizontal line in the same colour."""

    steps: Sequence[int]
    values: Sequence[float]
    colour: str
    label: str | None = None
    level: float | None = None
    dashed: bool = False


@dataclass(frozen=True)
class _Kind:
    title: str
    columns: tuple[str, ...]
    unit: str
    wide: bool = False


_KINDS = (
    _Kind("Masked loss", ("loss", "validation_loss"), "loss per asked token", wide=True),
    _Kind(
        "Explained variance",
        ("explained_variance", "validation_explained_variance"),
        "share of the trivial loss removed",
        wide=True,
    ),
    _Kind("Learning rate", ("lr",), "learning rate"),
    _Kind("Gradient norm", ("grad_norm",), "norm before clipping"),
    _Kind("Throughput", ("tokens_per_second",), "tokens a second"),
)


def panels(records: Sequence[RunRecord]) -> list[Panel]:
    """The panels of one run, or of several laid over each other; empty without history.

    Several runs are compared on validation figures where all have them, else on training ones.
    """
    from matplotlib import rc_context

    found = []
    with rc_context(_STYLE):
        for kind in _KINDS:
            title, lines = _lines(kind, records)
            if lines:
                images = {name: _image(kind, lines, theme) for name, theme in THEMES.items()}
                found.append(Panel(title, _described(title, lines), kind.wide, images))
    return found


def data_uri(content: bytes, media: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def _lines(kind: _Kind, records: Sequence[RunRecord]) -> tuple[str, list[Line]]:
    if len(records) == 1:
        return kind.title, _own_lines(kind, records[0])
    column = kind.columns[-1]
    if not all(record.series(column)[0] for record in records):
        column = kind.columns[0]
    validation = ", validation" if column.startswith("validation") else ""
    lines = []
    for i, record in enumerate(records):
        steps, values = record.series(column)
        if steps:
            dashed = i >= len(COLOURS)
            lines.append(Line(steps, values, COLOURS[i % len(COLOURS)], dashed=dashed))
    return kind.title + validation, lines


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


def _image(kind: _Kind, lines: Sequence[Line], theme: Theme) -> str:
    size = (470, 290) if kind.wide else (306, 200)
    figure = blank(size[0] / _PIXELS, size[1] / _PIXELS, theme)
    figure.set_facecolor("none")
    axes = figure.add_subplot()
    for line in lines:
        _draw(axes, line, theme)
    _scale(axes, kind, lines)
    _dress(axes, kind, theme)
    figure.subplots_adjust(left=54 / size[0], right=1 - 8 / size[0], bottom=36 / size[1],
                           top=1 - 10 / size[1])  # fmt: skip
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'")
    return data_uri(svg.encode(), "image/svg+xml")


def _draw(axes: Axes, line: Line, theme: Theme) -> None:
    style: dict[str, Any] = {"color": line.colour, "label": line.label}
    lonely = {"marker": "o", "markersize": 3} if len(line.steps) < 3 else {}
    axes.plot(line.steps, line.values, linewidth=1.6, solid_joinstyle="round",
              linestyle="--" if line.dashed else "-", **style, **lonely)  # fmt: skip
    if line.level is not None:
        label = line.label and f"best trivial guess, {line.label}"
        axes.axhline(line.level, color=line.colour, linewidth=1, linestyle=(0, (2, 2)), alpha=0.8,
                     label=label)  # fmt: skip


def _scale(axes: Axes, kind: _Kind, lines: Sequence[Line]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    values = [value for line in lines for value in line.values]
    low, high = min(values), max(values)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: large(step)))
    if kind.columns[0].endswith("explained_variance"):
        if low < WORST_SHOWN:
            axes.set_ylim(WORST_SHOWN, max(0.1, high * 1.08))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        return
    if kind.wide and low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if not kind.wide:
            axes.set_ylim(0, high * 1.08 or 1)
    write = large if high >= 1000 else lambda value: number(value, 2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def _dress(axes: Axes, kind: _Kind, theme: Theme) -> None:
    if kind.columns[0].endswith("explained_variance"):
        axes.axhline(0, color=theme.ink, linewidth=1, linestyle=(0, (2, 2)),
                     label="best trivial guess")  # fmt: skip
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.faint)
    axes.grid(axis="y", color=theme.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=theme.ink, labelsize=8.5, pad=5)
    axes.set_xlabel("step", fontsize=8.5, color=theme.ink)
    handles, labels = axes.get_legend_handles_labels()
    if kind.wide and handles and any(label != "best trivial guess" for label in labels):
        axes.legend(handles, labels, fontsize=8.5, frameon=False, labelcolor=theme.ink,
                    handlelength=1.6)  # fmt: skip
