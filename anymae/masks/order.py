"""A priority from where tokens are: seen in the order of a coordinate, so that the last is hidden.

Shapes: G groups, T tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.errors import BadConfig
from anymae.masks.groups import Grouping
from anymae.masks.priorities import Priority, noise
from anymae.tokens import Packed


class OrderPriority(Priority, kind="order"):
    """Tokens are seen in rising order of their coordinate along ``axis``, and the end is hidden:
    with time, forecasting. ``reverse`` hides the beginning.

    Where tokens share a coordinate and the budget cuts among them, noise decides; group them
    (``groups={kind: axis, axes: [0]}``) to hide whole time steps.
    """

    axis: int = 0
    reverse: bool = False

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        dims = packed.coords.shape[1]
        if not -dims <= self.axis < dims:
            raise BadConfig(
                "mask.priority.axis must name an axis of the coordinates",
                found=self.axis,
                expected=f"0 to {dims - 1}",
            )
        place = grouping.average(packed.coords[:, self.axis].double())
        place = -place if self.reverse else place
        # Exact ranks leave room for noise below 1 between neighbours, however close they are.
        rank = torch.unique(place, return_inverse=True)[1].double()
        return rank + noise(packed, grouping.segments, "mask").double()
