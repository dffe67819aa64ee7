"""Set embedding: the points of a token become one vector, whatever their order.

Shapes: T tokens, K points of D numbers, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae.kernels.neighbours import farthest_points
from anymae.kernels.segments import Segments
from anymae.tokens import OBSERVED, Packed


class MiniPointNet(nn.Module):
    """Two shared perceptrons, each followed by the maximum over points, the second one seeing the
    first one's maximum: ``forward(packed)`` gives (T, W).

    As in Point-MAE (Pang et al. 2022), its widths in the same proportion to W, with layer norm
    instead of batch norm: statistics of a batch would make a cloud's features depend on what
    else is in the batch, and on hidden tokens. The last map follows the second maximum instead of
    preceding it, at a K-th of the cost. Points that are not there have no say.
    """

    def __init__(self, points: int, numbers: int, width: int) -> None:
        super().__init__()
        self.shape = points, numbers
        narrow, middle, wide = (max(8, round(width * part)) for part in (1 / 3, 2 / 3, 4 / 3))
        self.lift = nn.Sequential(
            nn.Linear(numbers, narrow), nn.LayerNorm(narrow), nn.ReLU(), nn.Linear(narrow, middle)
        )
        self.of_point = nn.Linear(middle, wide)
        self.of_set = nn.Linear(middle, wide, bias=False)
        self.merge = nn.Sequential(nn.LayerNorm(wide), nn.ReLU())
        self.out = nn.Linear(wide, width)

    def forward(self, visible: Packed) -> Tensor:
        points = visible.values.unflatten(1, self.shape)
        absent = ~visible.side[OBSERVED].unflatten(1, self.shape)[..., :1]
        raised = self.lift(points)
        whole = _maximum(raised, absent)
        # One map of the pair (point, set) is the sum of a map of each.
        both = self.of_point(raised) + self.of_set(whole)[:, None]
        return self.out(_maximum(self.merge(both), absent))


def _maximum(points: Tensor, absent: Tensor) -> Tensor:
    """(T, D) over the points (T, K, D) that are not ``absent`` (T, K, 1)."""
    return points.masked_fill(absent, float("-inf")).amax(1)


def spread_out(points: Tensor, axes: int) -> Tensor:
    """Each set's points (T, K, D) reordered so that any first few of them are spread over all:
    predicted points stand in no order, and only as many are shown as the token has."""
    sets, k = points.shape[:2]
    flat = points.flatten(0, 1)
    every = Segments.of_lengths([k] * sets)
    order = farthest_points(flat[:, :axes], every, torch.full((sets,), k))
    return flat[order].view_as(points)
