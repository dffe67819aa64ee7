"""The one primitive of masking: in each sample, the ``budget`` members of lowest priority.

Shapes: B samples, G members (tokens, or groups of tokens) on one packed axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.segments import Segments


def select(priority: Tensor, segments: Segments, budget: Tensor) -> Tensor:
    """Indices (S,) of the ``budget[b]`` members of lowest ``priority`` in each sample b.

    ``priority`` (G,) floats, ``segments`` cuts G into B, ``budget`` (B,) int64 on the CPU, each
    between 0 and the sample's length. Counts are exact, ties go to the earlier member, and the
    result is ascending, so ``Segments.of_lengths(budget)`` cuts it. Nothing waits for a device.
    """
    length = segments.equal
    if length is not None and length > 0 and bool((budget == budget[0]).all()):
        order = priority.view(-1, length).argsort(stable=True, dim=1)
        chosen = order[:, : int(budget[0])].sort(1).values
        starts = torch.arange(len(segments), device=priority.device)[:, None] * length
        return (chosen + starts).flatten()
    by_priority = priority.argsort(stable=True)
    owner = segments.ids(priority.device)
    order = by_priority[owner[by_priority].argsort(stable=True)]
    allowed = budget.to(priority.device)[owner]
    hidden = torch.empty_like(owner)
    hidden[order] = (segments.within(priority.device) >= allowed).long()
    return hidden.argsort(stable=True)[: int(budget.sum())]


def complement(index: Tensor, segments: Segments, of_index: Segments) -> tuple[Tensor, Segments]:
    """The ascending members that ``index`` does not name, and how they are cut."""
    taken = torch.zeros(segments.total, dtype=torch.int64, device=index.device)
    taken[index] = 1
    rest = taken.argsort(stable=True)[: segments.total - of_index.total]
    return rest, Segments(segments.offsets - of_index.offsets)
