"""Line masks: whole rows and columns at once, as time and frequency masks of spectrograms.

Shapes: T tokens, G groups.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae import draws
from anymae.errors import BadConfig
from anymae.masks.groups import Grouping
from anymae.masks.priorities import Priority, noise
from anymae.tokens import Packed


class LinePriority(Priority, kind="line"):
    """A token is hidden if its line along any of ``axes`` is: the union of masks of whole rows,
    columns, ... (time + frequency masks of CAV-MAE, Gong et al. 2023).

    Lines are the tokens that share a coordinate, rounded down; each draws one number, and a token
    has the largest of its lines' numbers. Where the last line only partly fits the budget, its
    tokens are ordered by noise.
    """

    axes: tuple[int, ...] = (0, 1)

    def of(self, packed: Packed, grouping: Grouping) -> Tensor:
        dims = packed.coords.shape[1]
        if not self.axes or any(not 0 <= axis < dims for axis in self.axes):
            raise BadConfig(
                "mask.priority.axes must name axes of the coordinates",
                found=self.axes,
                expected=f"integers from 0 to {dims - 1}",
            )
        keys = packed.drawing_keys[packed.segments.ids(packed.device)]
        lines = [
            draws.uniform(keys, torch.floor(packed.coords[:, axis]).long(), f"line/{axis}")
            for axis in self.axes
        ]
        # 24 random bits, and below them 24 others that only order the tokens of one line.
        worst = torch.stack(lines).amax(0).double()
        return grouping.average(worst) + 2.0**-24 * noise(packed, grouping.segments, "mask")
