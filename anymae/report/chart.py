"""Chart: curves over steps as one small SVG, with the reader's own fonts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anymae.report.formats import percent, tick
from anymae.report.pictures import Theme, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORST_SHOWN = -1.0
"""Explained variance below this leaves the picture: the first steps would flatten the rest."""
LOGARITHMIC_FROM = 5.0
"""Losses that span this factor are drawn on a logarithmic scale."""
_BEST = "best trivial guess"
_NICE = [1, 2, 2.5, 5, 10]
_PIXELS = 96.0
_TEXT = 8.5
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "svg.hashsalt": "anymae",
}


@dataclass(frozen=True)
class Line:
    """A curve: steps and values; ``label`` is for its legend, if it has one, ``level`` a dotted
    horizontal line in the same colour."""

    steps: Sequence[int]
    values: Sequence[float]
    colour: str
    label: str | None = None
    level: float | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """What surrounds curves: a ``wide`` chart has a legend and may be logarithmic; a chart of
    ``shares`` is in per cent with a line at 0."""

    wide: bool
    shares: bool


def svg(frame: Frame, lines: Sequence[Line], theme: Theme) -> bytes:
    """The chart as SVG; the same input gives the same bytes."""
    from matplotlib import rc_context

    size = (470, 290) if frame.wide else (306, 200)
    buffer = io.StringIO()
    with rc_context(_STYLE):
        figure = blank(size[0] / _PIXELS, size[1] / _PIXELS, theme)
        axes = figure.add_subplot()
        for line in lines:
            _draw(axes, line)
        _scale(axes, frame, [value for line in lines for value in line.values])
        _dress(axes, frame, theme)
        figure.subplots_adjust(left=54 / size[0], right=1 - 8 / size[0], bottom=36 / size[1],
                               top=1 - 10 / size[1])  # fmt: skip
        figure.savefig(buffer, format="svg", transparent=True,
                       metadata={"Date": None, "Creator": None})  # fmt: skip
    return buffer.getvalue().replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'").encode()


def _draw(axes: Axes, line: Line) -> None:
    axes.plot(
        line.steps, line.values, color=line.colour, label=line.label, linewidth=1.6,
        solid_joinstyle="round", linestyle="--" if line.dashed else "-",
        marker="o" if len(line.steps) < 3 else "", markersize=3,
    )  # fmt: skip
    if line.level is not None:
        label = line.label and f"{_BEST}, {line.label}"
        axes.axhline(line.level, color=line.colour, linewidth=1, linestyle=(0, (2, 2)), label=label)


def _scale(axes: Axes, frame: Frame, values: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = min(values), max(values)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_NICE, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: tick(step)))
    axes.yaxis.set_major_locator(MaxNLocator(6 if frame.shares else 5, steps=_NICE))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: percent(value) if frame.shares else tick(value))
    )
    if frame.shares:
        axes.set_ylim(max(low, WORST_SHOWN) - 0.01, max(0.1, high * 1.08))
    elif not frame.wide:
        axes.set_ylim(0, high * 1.08 or 1)
    elif low > 0 and high > LOGARITHMIC_FROM * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _dress(axes: Axes, frame: Frame, theme: Theme) -> None:
    if frame.shares:
        axes.axhline(0, color=theme.ink, linewidth=1, linestyle=(0, (2, 2)), label=_BEST)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.faint)
    axes.grid(axis="y", color=theme.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=theme.ink, labelsize=_TEXT, pad=5)
    axes.set_xlabel("step", fontsize=_TEXT, color=theme.ink)
    handles, labels = axes.get_legend_handles_labels()
    if set(labels) - {_BEST}:
        axes.legend(handles, labels, fontsize=_TEXT, frameon=False, labelcolor=theme.ink,
                    handlelength=1.6)  # fmt: skip
