"""Voxels: the occupied cells of a grid, for sweeps of a hundred thousand points.

Shapes: n points of C numbers (x, y, z first), M occupied cells, K points kept of each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from anymae.errors import BadInput
from anymae.tokens import OBSERVED, Tokens

REACH = 1 << 20
"""Cells on each side of the origin along an axis."""


def voxels(cloud: Tensor, sizes: Tensor, keep: int, most: int) -> Tokens:
    """A cloud (n, C) as its occupied cells, in the order of their coordinates.

    Coordinates are whole cells of ``sizes`` (3,); values are ``keep`` points relative to the cell's
    centre, in halves of its size: -1 to 1. Of a cell with more points every so many-th is kept; of
    a cloud with more than ``most`` cells the fullest are. Raises ``BadInput``.
    """
    cells = _cells(cloud, sizes)
    key = ((cells[:, 0] + REACH) * 2 * REACH + cells[:, 1] + REACH) * 2 * REACH + cells[:, 2]
    order = key.argsort(stable=True)
    cloud, cells = cloud[order], cells[order]
    _, of_point, counts = key[order].unique_consecutive(return_inverse=True, return_counts=True)
    starts = counts.cumsum(0) - counts
    slot, kept = _slots(torch.arange(len(cloud), device=cloud.device) - starts[of_point],
                        counts[of_point], keep)  # fmt: skip
    place = cells[starts]
    values = cloud.new_zeros(len(counts), keep, cloud.shape[1])
    observed = torch.zeros_like(values, dtype=torch.bool)
    points = cloud[kept]
    centres = (cells[kept] + 0.5) * sizes
    points[:, :3] = (points[:, :3] - centres) * (2 / sizes)
    values[of_point[kept], slot[kept]] = points
    observed[of_point[kept], slot[kept]] = True
    if len(counts) > most:
        fullest = counts.argsort(descending=True, stable=True)[:most].sort().values
        values, observed, place = values[fullest], observed[fullest], place[fullest]
    return Tokens(values.flatten(1), place, {OBSERVED: observed.flatten(1)})


def _slots(rank: Tensor, count: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """The slot of the ``rank``-th of a cell's ``count`` points, and whether it is kept: slot i
    takes the point of rank floor(i count / keep) where there are more points than slots."""
    spaced = (rank * keep + count - 1) // count
    crowded = count > keep
    slot = torch.where(crowded, spaced, rank)
    return slot, ~crowded | ((spaced < keep) & (spaced * count // keep == rank))


def _cells(cloud: Tensor, sizes: Tensor) -> Tensor:
    """(n, 3) int64."""
    cells = (cloud[:, :3] / sizes).floor()
    if bool((cells.abs() >= REACH).any()):
        raise BadInput(
            "a point is too many voxels away",
            found=f"{float(cells.abs().max()):.3g} voxels of {sizes.tolist()}",
            expected=f"less than {REACH:,}",
            hint="Enlarge voxel_size, or leave far points out with extent.",
        )
    return cells.long()


def fitting_size(clouds: Sequence[np.ndarray], most: int) -> float:
    """The smallest of sizes a quarter octave apart with which no cloud (n, 3) occupies more than
    ``most`` cells, from 1 / 1024 of the largest extent up; two digits are kept."""
    extent = max(float(np.ptp(cloud, axis=0).max()) for cloud in clouds)
    size = extent / 1024
    if extent == 0:
        return 1.0
    while any(_occupied(cloud, size) > most for cloud in clouds):
        size *= 2**0.25
    return float(f"{size * 1.005:.3g}")


def _occupied(cloud: np.ndarray, size: float) -> int:
    x, y, z = np.floor(cloud / size).astype(np.int64).T
    return len(np.unique(((x + REACH) * 2 * REACH + y + REACH) * 2 * REACH + z))
