"""Farthest points and nearest neighbours in plain torch, on any device.

Samples of similar length are laid side by side as dense blocks, so that a ragged batch costs at
most ``SLACK`` more than its points. Distances are sums of products, one rounding after another,
and every choice breaks ties by index: the result is the same whatever else is in the batch.

Shapes: B samples, N points of A axes, M queries, C chosen points, K neighbours, L the length of a
block's rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from anymae.kernels.segments import Segments

SLACK = 1.25
"""How much longer than its shortest sample a block may be."""
AT_ONCE = {"cpu": 1 << 18}
"""Distances that are held at once: on a CPU what its caches hold, elsewhere 2 ** 25."""


def farthest_points(points: Tensor, of_points: Segments, counts: Tensor) -> Tensor:
    """As ``reference.farthest_points``, in float32."""
    of_chosen = Segments.of_lengths(counts)
    chosen = torch.empty(of_chosen.total, dtype=torch.int64, device=points.device)
    for samples in _blocks(of_points.lengths):
        rows, there = _rows(of_points, samples, points.device)
        wanted = counts[samples]
        found = _farthest(points, rows, there, int(wanted.max()))
        places, kept = _rows(of_chosen, samples, points.device)
        chosen[places[kept]] = rows.gather(1, found)[kept]
    return chosen


def _farthest(points: Tensor, rows: Tensor, there: Tensor, count: int) -> Tensor:
    """(b, count) columns of ``rows`` (b, L)."""
    axes = [axis[rows].contiguous() for axis in points.float().unbind(1)]
    far = torch.where(there, _squares(axes, [axis.new_zeros(()) for axis in axes]), -1.0)
    found = torch.empty(len(rows), count, dtype=torch.int64, device=points.device)
    for step in range(count):
        newest = far.argmax(1, keepdim=True)  # the first of equals
        found[:, step : step + 1] = newest
        apart = _squares(axes, [axis.gather(1, newest) for axis in axes])
        far = torch.where(there, apart, -1.0) if step == 0 else torch.minimum(far, apart)
        far.scatter_(1, found[:, : step + 1] if step == 0 else newest, -1.0)
    return found


def nearest(
    points: Tensor, of_points: Segments, queries: Tensor, of_queries: Segments, k: int
) -> Tensor:
    """As ``reference.nearest``, in float32."""
    found = torch.full((len(queries), k), -1, dtype=torch.int64, device=points.device)
    at_once = AT_ONCE.get(points.device.type, 1 << 25)
    for samples in _blocks(of_points.lengths):
        pairs = of_points.lengths[samples].max() * of_queries.lengths[samples].max()
        for some in samples.split(max(1, at_once // max(1, int(pairs)))):
            _fill_nearest(found, points, of_points, queries, of_queries, some)
    return found


def _fill_nearest(
    found: Tensor,
    points: Tensor,
    of_points: Segments,
    queries: Tensor,
    of_queries: Segments,
    samples: Tensor,
) -> None:
    rows, there = _rows(of_points, samples, points.device)
    asking, asked = _rows(of_queries, samples, points.device)
    whole = len(of_points.lengths[samples].unique()) == 1
    k = min(found.shape[1], rows.shape[1])
    axes = [axis[rows][:, None] for axis in points.float().unbind(1)]
    step = max(1, AT_ONCE.get(points.device.type, 1 << 25) // rows.numel())
    for first in range(0, asking.shape[1], step):
        these, valid = asking[:, first : first + step], asked[:, first : first + step]
        apart = _squares(axes, [axis[these][..., None] for axis in queries.float().unbind(1)])
        columns = _smallest(apart, None if whole else there, k)
        index = rows[:, None].expand_as(apart).gather(2, columns)
        if not whole:
            index = torch.where(there[:, None].expand_as(apart).gather(2, columns), index, -1)
        found[these[valid], :k] = index[valid]


def _smallest(apart: Tensor, there: Tensor | None, k: int) -> Tensor:
    """(b, m, k) columns of the smallest numbers of ``apart`` (b, m, L), smallest first,
    of those that are ``there`` (b, L) (None: all).

    Bits of floats from 0 on are ordered as the floats; with the column below them no two are
    equal, and so no implementation can break ties its own way.
    """
    keys = apart.view(torch.int32).to(torch.int64).bitwise_left_shift_(32)
    keys.bitwise_or_(torch.arange(apart.shape[2], device=apart.device))
    if there is not None:
        keys.masked_fill_(~there[:, None], torch.iinfo(torch.int64).max)
    return keys.topk(k, largest=False, sorted=True).indices


def _squares(axes: list[Tensor], place: list[Tensor]) -> Tensor:
    """Squared distances, added axis by axis."""
    total = (axes[0] - place[0]).square_()
    for axis, at in zip(axes[1:], place[1:], strict=True):
        total += (axis - at).square_()
    return total


def _blocks(lengths: Tensor) -> Iterator[Tensor]:
    """Samples of similar length together, as index tensors."""
    order = lengths.argsort(stable=True)
    ordered = lengths[order].tolist()
    start = 0
    for i, length in enumerate(ordered):
        if length > SLACK * ordered[start]:
            yield order[start:i]
            start = i
    if ordered:
        yield order[start:]


def _rows(segments: Segments, samples: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """(b, L) indices of each sample's members, its last repeated to the end, and which are no
    repetition."""
    lengths = segments.lengths[samples][:, None]
    place = torch.arange(int(lengths.max()))
    rows = segments.offsets[samples][:, None] + torch.minimum(place, (lengths - 1).clamp(min=0))
    return rows.to(device), (place < lengths).to(device)
