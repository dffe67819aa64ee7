"""Spectrograms of any lengths cut into patches, and put together again.

Shapes: T frames, M bands; patches of p frames by q bands, F = p q; n patches of one waveform.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from anymae.kernels.segments import Segments


def patched(
    frames: Tensor, counts: Segments, shape: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Segments]:
    """Values (n, F), observed (n, F), coordinates (n, 2) and how patches are cut into waveforms.

    ``frames`` (T, M) of all waveforms, cut by ``counts``. Patches are ordered by time, then band;
    a waveform's last ones may reach beyond its end, where nothing is observed.
    """
    p, q = shape
    bands, device = frames.shape[1], frames.device
    steps = Segments.of_lengths((counts.lengths + p - 1) // p)
    starts = steps.offsets[:-1].to(device)[counts.ids(device)] * p
    place = starts + counts.within(device)
    rows = frames.new_zeros(steps.total * p, bands)
    rows[place] = frames
    known = torch.zeros(steps.total * p, dtype=torch.bool, device=device)
    known[place] = True
    values = rearrange(rows, "(t p) (f q) -> (t f) (p q)", p=p, q=q)
    observed = rearrange(known[:, None].expand(-1, bands), "(t p) (f q) -> (t f) (p q)", p=p, q=q)
    columns = torch.arange(bands // q, device=device)
    time = steps.within(device).repeat_interleave(len(columns))
    coords = torch.stack([time, columns.repeat(steps.total)], 1)
    return values, observed, coords, Segments(steps.offsets * len(columns))


def unpatched(
    values: Tensor, observed: Tensor, coords: Tensor, shape: tuple[int, int], bands: int
) -> Tensor:
    """(C, T, M) from patches in any order, NaN where there is none; C is 1 for coordinates
    (time, band), else as many as the third says. Ends at the last observed frame."""
    p, q = shape
    coords = coords.long()
    steps, columns = int(coords[:, 0].max()) + 1, bands // q
    channel = coords[:, 2] if coords.shape[1] == 3 else torch.zeros_like(coords[:, 0])
    channels = int(channel.max()) + 1
    grid = torch.full((channels * steps * columns, p * q), float("nan"))
    grid[(channel * steps + coords[:, 0]) * columns + coords[:, 1]] = values.float()
    rows = rearrange(
        grid, "(c t f) (p q) -> c (t p) (f q)", c=channels, t=steps, f=columns, p=p, q=q
    )
    ends = coords[:, 0] * p + observed.unflatten(1, (p, q))[:, :, 0].sum(1)
    return rows[:, : int(ends.max())]
