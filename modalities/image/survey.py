"""A look at a set of images: their common size, channels, number type and statistics."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anymae.pixels import Statistics, Survey


def survey(
    images: Iterable[np.ndarray], channels: int | None
) -> tuple[tuple[int, int] | None, Statistics]:
    """Look at (H, W, C) images once: their size (rows, columns; None if they differ) and what else
    they have in common. Raises ``BadInput`` (see ``Survey``)."""
    look, sizes, count = Survey("image", channels), set(), 0
    for image in images:
        look.add(image)
        sizes.add(image.shape[:2])
        count += 1
    found = look.statistics(count)
    return sizes.pop() if len(sizes) == 1 else None, found
