"""Pictures: samples before, hidden in part, and rebuilt, as a matplotlib figure.

Figures are objects of their own with an Agg canvas; no global plotting state is touched.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anymae.errors import BadConfig
from anymae.report.artifacts import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anymae.inference import Reconstruction

ROWS = ("original", "masked", "rebuilt")
DPI = 192
_CELL = 1.15
_GAP = 0.06
_LABELS = 0.62


@dataclass(frozen=True)
class Theme:
    """Colours of a figure: page, text, lines behind the data, and hidden places."""

    page: str
    ink: str
    faint: str
    hidden: str
    hatch: str


THEMES = {
    "light": Theme("#ffffff", "#3a424e", "#d9dee5", "#e3e7ec", "#b4bcc8"),
    "dark": Theme("#181c22", "#b9c2ce", "#333b46", "#2a313b", "#4d5866"),
}


def plot_reconstruction(
    reconstruction: Reconstruction, path: str | Path | None = None, columns: int = 8
) -> Figure:
    """A figure with a column for each of the first ``columns`` samples and three rows: original,
    masked, rebuilt.

    Samples are drawn by their adapter. Pixels it leaves out because they are missing (NaN) show a
    grey hatch: nobody can take them for content. Saved if ``path`` is given, in the format of its
    ending. Raises ``BadConfig`` for an unknown ending or no sample, ``CheckpointError`` if the
    file cannot be written.
    """
    figure = _figure(reconstruction, columns, THEMES["light"])
    if path is not None:
        ending = Path(path).suffix.removeprefix(".").lower()
        known = figure.canvas.get_supported_filetypes()
        if ending not in known:
            raise BadConfig(
                "a picture's file ending names its format",
                where=path,
                expected=f"one of {', '.join(sorted(known))}",
            )
        write_whole(Path(path), _saved(figure, ending))
    return figure


def reconstruction_png(reconstruction: Reconstruction, columns: int, theme: str) -> bytes:
    """The same figure as PNG, for a light or a dark page."""
    return _saved(_figure(reconstruction, columns, THEMES[theme]), "png")


def blank(width: float, height: float, theme: Theme) -> Figure:
    """An empty figure of this size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=theme.page)
    FigureCanvasAgg(figure)
    return figure


def _figure(reconstruction: Reconstruction, columns: int, theme: Theme) -> Figure:
    versions = reconstruction.original, reconstruction.masked, reconstruction.reconstruction
    shown = min(columns, len(versions[0]))
    if shown < 1:
        raise BadConfig("there is no sample to draw", found=f"{columns} columns")
    figure = blank(_LABELS + shown * _CELL, len(ROWS) * _CELL, theme)
    grid = figure.subplots(len(ROWS), shown, squeeze=False)
    for row, samples in zip(grid, versions, strict=True):
        for axes, sample in zip(row, samples, strict=False):
            reconstruction.adapter.draw(axes, sample)
            if axes.images:
                _mark_hidden(axes, theme)
    _fit(figure, grid, shown)
    for row, label in zip(grid, ROWS, strict=True):
        middle = row[0].get_position().y0 + row[0].get_position().height / 2
        inches = figure.get_size_inches()[0]
        figure.text((_LABELS - 0.08) / inches, middle, label, color=theme.ink,
                    ha="right", va="center", fontsize=8)  # fmt: skip
    return figure


def _mark_hidden(axes: Axes, theme: Theme) -> None:
    """A hatched ground that shows through wherever the picture has no pixel."""
    from matplotlib.patches import Rectangle

    ground = Rectangle(
        (0, 0), 1, 1, transform=axes.transAxes, zorder=-1, linewidth=0,
        facecolor=theme.hidden, edgecolor=theme.hatch, hatch="//////",
    )  # fmt: skip
    axes.add_patch(ground)


def _fit(figure: Figure, grid: Any, columns: int) -> None:
    """Give all cells the shape of the first sample, within reason."""
    first = grid[0, 0]
    tall = 0.6
    if first.get_aspect() != "auto":
        (left, right), (bottom, top) = first.get_xlim(), first.get_ylim()
        tall = min(2.0, max(0.25, abs(top - bottom) / max(abs(right - left), 1e-12)))
    width, height = _LABELS + columns * _CELL, len(ROWS) * (_CELL - _GAP) * tall + len(ROWS) * _GAP
    figure.set_size_inches(width, height)
    gap = _GAP / (_CELL - _GAP)
    figure.subplots_adjust(
        left=_LABELS / width, right=1 - _GAP / 2 / width, bottom=_GAP / 2 / height,
        top=1 - _GAP / 2 / height, wspace=gap, hspace=gap / tall,
    )  # fmt: skip


def _saved(figure: Figure, ending: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, dpi=DPI, facecolor=figure.get_facecolor())
    return buffer.getvalue()
