"""What a hidden set of points is like: how its surface lies and bends, and how many points it has.

Shapes: A asked tokens of K points of C numbers, x, y and z first.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.losses import Loss
from anymae.targets.target import Scene, Target
from anymae.tokens import OBSERVED, Packed

FLAT = 1e-6
"""The share of a set's variance below which points lie on a line, or in one place."""


class Surface(Target, kind="surface"):
    """The variation of a token's surface, the least eigenvalue of its points' covariance over their
    sum (0 for a plane, a third for a ball), and its normal, the eigenvector of that (MaskFeat3D,
    Yan et al. 2023).

    The recipe's loss compares variations; to it come ``weight`` times 1 - |cosine| of the normals,
    whose sign nobody knows, and a tenth of the squared distance of the predicted one's length from
    1. Points on a line, or fewer than three, have no normal, which is then 0 and not scored.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"sets"})

    weight: float = Field(default=1.0, ge=0)

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return 4

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        points, known = _points(adapter, asked)
        count = known.sum(1, keepdim=True).clamp(min=1)
        mean = (points * known[..., None]).sum(1, keepdim=True) / count[..., None]
        apart = (points - mean) * known[..., None]
        values, vectors = torch.linalg.eigh(apart.transpose(1, 2) @ apart / count[..., None])
        values = values.clamp(min=0)
        total = values.sum(1).clamp(min=torch.finfo(values.dtype).tiny)
        normal = vectors[:, :, 0]
        largest = normal.gather(1, normal.abs().argmax(1, keepdim=True))
        lies = values[:, 1] > FLAT * total  # the second tells a surface from a line
        normal = normal * largest.sign() * lies[:, None]
        return torch.cat([(values[:, 0] / total)[:, None], normal], 1).float()

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        said, true = prediction[:, 1:].float(), target[:, 1:]
        turned = 1 - F.cosine_similarity(said, true, dim=1, eps=1e-6).abs()
        length = (said.square().sum(1) + 1e-12).sqrt()
        normals = (turned + 0.1 * (length - 1).square()) * true.any(1)
        return loss.per_token(prediction[:, :1], target[:, :1]) + self.weight * normals


class Count(Target, kind="count"):
    """How many points a token has (Voxel-MAE, Hess et al. 2023)."""

    needs: ClassVar[frozenset[str]] = frozenset({"sets"})

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return 1

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        return _points(adapter, asked)[1].sum(1, keepdim=True).float()


def _points(adapter: Adapter, asked: Packed) -> tuple[Tensor, Tensor]:
    """(A, K, 3) where the points of each token are, in float64, and (A, K) which there are."""
    content = adapter.target(asked).detach().double().unflatten(1, adapter.token_shape)
    observed = asked.side.get(OBSERVED)
    if observed is None:
        return content[..., :3], torch.ones_like(content[..., 0], dtype=torch.bool)
    return content[..., :3], observed.unflatten(1, adapter.token_shape)[..., 0]
