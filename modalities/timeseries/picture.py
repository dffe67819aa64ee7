"""Series as lines on matplotlib axes.

Shapes: T time steps, C channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 6
"""Channels drawn at most."""
COLOURS = ("#2a6f97", "#c2571a", "#3a7d44", "#7b4b94", "#a8323e", "#6b705c")


def draw_series(
    axes: Any, values: np.ndarray, times: np.ndarray | None, mean: np.ndarray, std: np.ndarray
) -> None:
    """Draw the first channels of (T, C) above one another, each in a lane of six deviations around
    the mean of the training data; steps without a value are shaded. Uneven times have dots."""
    shown = min(MOST, values.shape[1])
    places = np.arange(len(values)) if times is None else times
    for lane in range(shown):
        channel = values[:, lane]
        height = np.clip((channel - mean[lane]) / (6 * std[lane]), -0.5, 0.5) - lane
        style = {"linewidth": 0.7} if times is None else {"linewidth": 0.4, "marker": ".",
                                                           "markersize": 1.5}  # fmt: skip
        seen = slice(None) if times is None else ~np.isnan(channel)
        axes.plot(places[seen], height[seen], color=COLOURS[lane % len(COLOURS)], **style)
        if times is None:
            for start, stop in _runs(np.isnan(channel)):
                axes.fill_between(
                    (start - 0.5, stop - 0.5), -lane - 0.5, -lane + 0.5,
                    color="#8d99a8", alpha=0.3, linewidth=0,
                )  # fmt: skip
    axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    axes.set_ylim(0.5 - shown, 0.5)
    axes.set_axis_off()


def _runs(missing: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the runs where ``missing`` (T,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
