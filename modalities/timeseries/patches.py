"""Patches of series and back, for many series of any lengths at once, on a device.

A series whose length is no multiple of the patch is led by unobserved steps, so that the last
patch ends where the series does.

Shapes: B series, S steps with those that lead, N patches, C channels, p steps a patch, F numbers
a token, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anymae.kernels.segments import Segments

FLOOR = 1e-5
"""Added to the variance of a window, which is in units of the data's: RevIN's (Kim et al. 2022)."""


@dataclass(frozen=True)
class Rows:
    """Series below one another: ``values`` (S, C) float64 with NaN for what is not observed, cut
    into patches of ``patch`` rows, and these into series by ``of_patches``."""

    values: Tensor
    patch: int
    of_patches: Segments

    @property
    def owners(self) -> Tensor:
        """(S,) the series of each row."""
        return self.of_patches.ids(self.values.device).repeat_interleave(self.patch)


def rows_of(series: Sequence[np.ndarray], patch: int, device: torch.device | str) -> Rows:
    """Series (T, C) each, led by unobserved steps."""
    counts = [-(-len(one) // patch) for one in series]
    table = np.full((sum(counts) * patch, series[0].shape[1]), np.nan)
    stop = 0
    for one, count in zip(series, counts, strict=True):
        stop += count * patch
        table[stop - len(one) : stop] = one
    return Rows(torch.from_numpy(table).to(device), patch, Segments.of_lengths(counts))


def window_statistics(rows: Rows) -> tuple[Tensor, Tensor]:
    """(B, C) mean and standard deviation of what is observed of each channel of each series; 0 and
    the floor where nothing is."""
    observed = ~rows.values.isnan()
    owners, empty = rows.owners, rows.values.new_zeros(len(rows.of_patches), rows.values.shape[1])

    def mean(values: Tensor) -> Tensor:
        total = empty.index_add(0, owners, torch.where(observed, values, 0.0))
        return total / empty.index_add(0, owners, observed.double()).clamp(min=1)

    centre = mean(rows.values)
    return centre, (mean((rows.values - centre[owners]).square()) + FLOOR).sqrt()


@dataclass(frozen=True)
class Cut:
    """Tokens: ``values`` (T, F), 0 where not ``observed`` (T, F), the ``patch`` (T,) of all N that
    each comes from, its ``channel`` (T,), 0 where channels are joint, and ``segments``."""

    values: Tensor
    observed: Tensor
    patch: Tensor
    channel: Tensor
    segments: Segments


def cut(rows: Rows, joint: bool) -> Cut:
    """A token for each patch (``joint``), numbers ordered by step, then channel; or for each patch
    of each channel, ordered by series, channel, then time. Those without an observation are left
    out."""
    patches = rows.values.unflatten(0, (-1, rows.patch))  # (N, p, C)
    count, _, channels = patches.shape
    owner = rows.of_patches.ids(patches.device)
    if joint:
        values, each = patches.flatten(1), 1
        order = torch.arange(count, device=patches.device)
    else:
        values, each = patches.transpose(1, 2).flatten(0, 1), channels
        lane = owner[:, None] * channels + torch.arange(channels, device=patches.device)
        order = lane.flatten().argsort(stable=True)
    observed = ~values.isnan()
    order = order[observed.any(1)[order]]
    values, observed, patch = values[order], observed[order], order // each
    lengths = torch.bincount(owner[patch], minlength=len(rows.of_patches))
    return Cut(
        torch.where(observed, values, 0.0).float(),
        observed,
        patch,
        order % each,
        Segments.of_lengths(lengths.cpu()),
    )


def uncut(values: Tensor, patch: Tensor, channel: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Tokens (T, F) of one series put back: (N p, C), NaN where there is none. ``shape`` is
    (N, p, C)."""
    count, steps, channels = shape
    if values.shape[1] == steps * channels and channels > 1:
        table = values.new_full((count, steps * channels), float("nan"))
        table[patch] = values
        return table.view(count * steps, channels)
    table = values.new_full((count, channels, steps), float("nan"))
    table[patch, channel] = values
    return table.transpose(1, 2).reshape(count * steps, channels)
