"""Pictures: a row of a table as a list that can be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LINES = 18
"""Columns shown; of wider tables the first ones."""
_GREY = "#8a94a3"
_HATCH = "#b4bcc8"


def draw_row(axes: Any, row: Mapping[str, Any]) -> None:
    """Names at the left, values at the right, one column a line: a dash where the cell is missing,
    a hatched box where it is hidden (NaN)."""
    from matplotlib.patches import Rectangle

    shown = list(row.items())
    more = len(shown) - LINES
    if more > 0:
        shown = shown[: LINES - 1]
    lines = max(len(shown) + (more > 0), 8)
    axes.set_xlim(0, lines * 0.8)
    axes.set_ylim(lines, 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    right, size, ink = lines * 0.8, 44 / lines, _ink(axes)
    for line, (name, value) in enumerate(shown):
        axes.text(0, line + 0.5, _short(name, 13), color=_GREY, va="center", fontsize=size)
        if isinstance(value, float) and math.isnan(value):
            box = Rectangle(
                (right * 0.56, line + 0.1), right * 0.44, 0.8,
                facecolor="none", edgecolor=_HATCH, hatch="///////", linewidth=0,
            )  # fmt: skip
            axes.add_patch(box)
        else:
            axes.text(
                right, line + 0.5, worded(value), ha="right", va="center", fontsize=size,
                color=_GREY if value is None else ink,
            )  # fmt: skip
    if more > 0:
        axes.text(0, lines - 0.5, f"and {more + 1} more", color=_GREY, va="center", fontsize=size)


def _ink(axes: Any) -> str:
    """Dark on a light page, light on a dark one."""
    red, green, blue, _ = axes.figure.get_facecolor()
    return "#3a424e" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "#b9c2ce"


def worded(value: Any) -> str:
    """A value in few letters."""
    if value is None:
        return "–"  # noqa: RUF001
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return _short(str(value), 14)


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
