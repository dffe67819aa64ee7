"""A look at a set of videos: lengths, common size, channels, number type and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from anymae.errors import BadInput
from anymae.modalities.video.frames import Frames
from anymae.pixels import Statistics, Survey

FRAMES_LOOKED_AT = 8
"""Frames of each video that statistics are taken from."""


def survey(
    videos: Iterable[Frames], channels: int | None, window: Callable[[int], range]
) -> tuple[tuple[int, ...], tuple[int, int] | None, Statistics]:
    """Look at videos once, at ``FRAMES_LOOKED_AT`` frames, evenly spaced over ``window(length)``:
    their lengths, their size (rows, columns; None if they differ) and what else they have in
    common. Raises ``BadInput`` (see ``Survey``)."""
    look, lengths, sizes = Survey("video", channels), [], set()
    for video in videos:
        lengths.append(video.length)
        sizes.add(video.size)
        shown = _thinned(window(video.length))
        for place, frame in zip(shown, video.at(shown), strict=True):
            try:
                look.add(frame)
            except BadInput as error:
                raise error.at(f"frame {place}") from None
    found = look.statistics(len(lengths))
    return tuple(lengths), sizes.pop() if len(sizes) == 1 else None, found


def _thinned(window: range) -> range:
    return window[:: max(1, -(-len(window) // FRAMES_LOOKED_AT))]
