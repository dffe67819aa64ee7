"""Losses of sets of points.

Shapes: A asked tokens, K points of D numbers a token.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from anymae.losses.loss import Loss, mean_known


class ChamferLoss(Loss, kind="chamfer"):
    """The Chamfer distance of two sets of points: each one's distance to the nearest of the other
    set, averaged over either set and added (Fan et al. 2017; squared in Point-MAE).

    The first ``axes`` numbers of a point are where it is; further ones are compared with those of
    the nearest point, by their mean squared difference times ``features``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"sets"})

    norm: Literal["squared", "euclidean"] = "squared"
    axes: int = Field(default=3, gt=0)
    features: float = Field(default=1.0, ge=0)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        ours, theirs = (x.float().unflatten(1, shape) for x in (prediction, target))
        there = torch.ones_like(theirs[..., 0], dtype=torch.bool)
        if observed is not None:
            there = observed.unflatten(1, shape)[..., 0]
        to_theirs, to_ours = self._nearest(ours, theirs, there)
        forth = self._between(ours, _rows(theirs, to_theirs))
        back = self._between(theirs, _rows(ours, to_ours))
        return forth.mean(1) + mean_known(back.masked_fill(~there, 0.0), there)

    @torch.no_grad()
    def _nearest(self, ours: Tensor, theirs: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(A, K) for each point the nearest one of the other set. Gradients need the pairs only,
        so the K x K distances leave nothing behind."""
        here, over_there = ours[..., : self.axes], theirs[..., : self.axes]
        apart = torch.cdist(here, over_there, compute_mode="donot_use_mm_for_euclid_dist")
        to_theirs = apart.masked_fill(~there[:, None], float("inf")).argmin(2)
        return to_theirs, apart.argmin(1)

    def _between(self, points: Tensor, nearest: Tensor) -> Tensor:
        """(A, K) how far points are from their nearest, features included."""
        error = (points - nearest).square()
        apart = error[..., : self.axes].sum(-1)
        if self.norm == "euclidean":
            apart = (apart + 1e-12).sqrt()
        if points.shape[-1] == self.axes:
            return apart
        return apart + self.features * error[..., self.axes :].mean(-1)


def _rows(points: Tensor, index: Tensor) -> Tensor:
    """(A, K, D) points at (A, L): (A, L, D)."""
    return points.gather(1, index[..., None].expand(*index.shape, points.shape[-1]))
