"""Windows: parts of long series, made when asked for; nothing is copied.

Shapes: T time steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.timeseries.series import Steps

LONGEST = 512


class Windows(Sequence[Any]):
    """All windows of ``window`` steps, ``stride`` apart, of long ``series``, in order: views.
    ``name`` is the file that a single series came from.

    Raises ``BadInput`` for a series shorter than a window.
    """

    def __init__(
        self, series: Sequence[Steps], window: int, stride: int = 1, name: str | None = None
    ) -> None:
        self.steps = list(series)
        self.name = name
        self.window = window
        self.stride = stride
        for number, one in enumerate(self.steps):
            if len(one) < window:
                raise BadInput(
                    "the series is shorter than a window",
                    where=f"series {number}",
                    found=f"{len(one)} steps",
                    expected=f"at least {window}",
                    hint="Give a smaller modality_options window.",
                )
        counts = [(len(one) - window) // stride + 1 for one in self.steps]
        self.starts = np.concatenate([[0], np.cumsum(counts)])

    @property
    def series(self) -> list[Any]:
        """The whole series that the windows are cut from."""
        return [one.sample() for one in self.steps]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def where(self, index: int) -> str:
        """The place of a window: the file and its steps, if it came from one."""
        if self.name is None:
            return f"sample {index}"
        start = index * self.stride
        return f"{self.name}[steps {start} to {start + self.window - 1}]"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        index = int(index) % len(self)
        which = int(np.searchsorted(self.starts, index, side="right")) - 1
        start = (index - int(self.starts[which])) * self.stride
        return self.steps[which].part(start, start + self.window).sample()


def default_window(length: int) -> int | None:
    """A window for a series of ``length`` steps: a power of two, at most a quarter of it and at
    most 512; None where that leaves less than 16 steps."""
    if length < 64:
        return None
    return min(LONGEST, 1 << ((length // 4).bit_length() - 1))
