"""A spectrogram on matplotlib axes."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw_spectrogram(
    axes: Any, log_mel: np.ndarray, hop: float, limits: tuple[float, float]
) -> None:
    """Draw (T, M), or (C, T, M) channels above one another, with a frame every ``hop`` seconds.

    Ticks lie inside, so that cells of a figure can touch.
    """
    bands = np.concatenate(list(log_mel[::-1]), 1) if log_mel.ndim == 3 else log_mel
    axes.imshow(
        np.ma.masked_invalid(bands.T), origin="lower", aspect="auto", cmap="magma",
        extent=(0, bands.shape[0] * hop, 0, bands.shape[1]), vmin=limits[0], vmax=limits[1],
        interpolation="nearest",
    )  # fmt: skip
    axes.locator_params(nbins=4, prune="both")
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.tick_params(direction="in", colors="white", labelsize=4, pad=-8, length=2, width=0.4)
    axes.tick_params(axis="y", pad=-12)
    for side in axes.spines.values():
        side.set_visible(False)
