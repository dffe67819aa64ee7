"""Segments: how one packed axis is cut into samples.

The cut positions live on the host, always: lengths decide which kernel runs, and asking a device
for them would stall it. What kernels need on a device is derived once and kept.

Shapes: B samples, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor


class Segments:
    """B consecutive runs of a packed axis of T tokens.

    ``offsets`` is an int64 tensor (B + 1,) on the CPU, starting at 0 and never decreasing.
    """

    def __init__(self, offsets: Tensor) -> None:
        self.offsets = offsets
        self._on_device: dict[tuple[str, torch.device], Tensor] = {}

    @classmethod
    def of_lengths(cls, lengths: Iterable[int] | Tensor) -> Segments:
        """Segments of the given lengths, in order."""
        lengths = torch.as_tensor(
            lengths if isinstance(lengths, Tensor) else list(lengths), dtype=torch.int64
        )
        offsets = torch.zeros(len(lengths) + 1, dtype=torch.int64)
        torch.cumsum(lengths, 0, out=offsets[1:])
        return cls(offsets)

    def __reduce__(self) -> tuple[type[Segments], tuple[Tensor]]:
        return Segments, (self.offsets,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) int64 on the CPU."""
        return self.offsets.diff()

    @cached_property
    def total(self) -> int:
        """T, the length of the packed axis."""
        return int(self.offsets[-1])

    @cached_property
    def longest(self) -> int:
        """The largest length, 0 if there is no segment."""
        return int(self.lengths.max()) if len(self) else 0

    @cached_property
    def equal(self) -> int | None:
        """The common length if all segments share one, else None: the dense path's condition."""
        if not len(self) or int(self.lengths.min()) != self.longest:
            return None
        return self.longest

    def _cached(self, name: str, device: torch.device | str, make: Callable[[], Tensor]) -> Tensor:
        place = (name, torch.device(device))
        if place not in self._on_device:
            self._on_device[place] = make().to(device, non_blocking=True)
        return self._on_device[place]

    def ids(self, device: torch.device | str) -> Tensor:
        """(T,) int64: the segment each token belongs to."""
        return self._cached(
            "ids",
            device,
            lambda: torch.repeat_interleave(torch.arange(len(self)), self.lengths),
        )

    def within(self, device: torch.device | str) -> Tensor:
        """(T,) int64: the place of each token inside its segment."""
        return self._cached(
            "within",
            device,
            lambda: (
                torch.arange(self.total) - torch.repeat_interleave(self.offsets[:-1], self.lengths)
            ),
        )

    def cumulative(self, device: torch.device | str) -> Tensor:
        """(B + 1,) int32 offsets, the form flash kernels read."""
        return self._cached("cumulative", device, lambda: self.offsets.to(torch.int32))

    def grown(self, by: int) -> Segments:
        """Each segment lengthened by ``by`` tokens."""
        return Segments(self.offsets + by * torch.arange(len(self) + 1))
