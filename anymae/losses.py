"""Losses: how far a prediction is from its target, one number a token.

They are summed over asked tokens and divided by the global count of a step by whoever trains:
an average of averages would weigh samples by their luck.

Shapes: A asked tokens, F numbers a token; in sets K points of D numbers, F = K D.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.parts import Part


class Loss(Part, slot="loss"):
    """A part that scores predictions."""

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """(A,) from (A, F) and (A, F), in float32.

        ``observed`` (A, F) bool says which numbers of the target are known; None: all. ``shape``
        is the token's (see ``Adapter.token_shape``), for losses that look at its structure.
        """
        raise NotImplementedError


class ElementwiseLoss(Loss):
    """The mean over a token's known numbers of how far each is off."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(A, F) from (A, F) and (A, F), in float32."""
        raise NotImplementedError

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        return mean_known(self.error(prediction.float(), target), observed)


class SquaredLoss(ElementwiseLoss, kind="squared"):
    """The mean squared difference."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square()


class AbsoluteLoss(ElementwiseLoss, kind="absolute"):
    """The mean absolute difference."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()


class SmoothLoss(ElementwiseLoss, kind="smooth"):
    """Smooth L1: half e^2 / ``beta`` below ``beta``, |e| - ``beta`` / 2 above."""

    beta: float = Field(default=1.0, gt=0)

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(prediction, target, beta=self.beta, reduction="none")


class BinaryLoss(ElementwiseLoss, kind="binary"):
    """The mean cross entropy of each number, a logit, with a target that is 0 or 1."""

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(prediction, target.float(), reduction="none")


class EuclideanLoss(Loss, kind="euclidean"):
    """The length of the difference, over a token's known numbers: not its square, so that far
    tokens weigh no more than near ones (the masked task of DABS 2.0, Tamkin et al.
    2022)."""

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        error = (prediction.float() - target).square()
        error = error if observed is None else error * observed
        return (error.sum(1) + 1e-12).sqrt()  # the root has no slope at 0


class CosineLoss(Loss, kind="cosine"):
    """(1 - cosine similarity) ** ``power``: scaled cosine error for powers above 1, which weighs
    easy tokens down (GraphMAE, Hou et al. 2022)."""

    power: float = Field(default=1.0, ge=1)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        prediction, target = prediction.float(), target.float()
        if observed is not None:
            prediction, target = prediction * observed, target * observed
        return (1 - F.cosine_similarity(prediction, target, dim=1, eps=1e-6)) ** self.power


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


class CrossEntropyLoss(Loss, kind="cross-entropy"):
    """Cross entropy of logits with target probabilities, e.g. one-hot codes, of which a share
    ``smoothing`` is spread evenly."""

    smoothing: float = Field(default=0.0, ge=0, lt=1)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        logits = prediction.float()
        if observed is not None:
            logits = logits.masked_fill(~observed, torch.finfo(logits.dtype).min)
        return F.cross_entropy(
            logits, target.float(), reduction="none", label_smoothing=self.smoothing
        )


class ContrastiveLoss(Loss, kind="contrastive"):
    """InfoNCE among the asked tokens of a batch: a prediction must be nearer to its own target than
    to those of others, by cosine over ``temperature`` (van den Oord et al. 2018).

    At most ``rivals`` tokens compete with one another, consecutive ones, so that cost stays linear.
    """

    temperature: float = Field(default=0.2, gt=0)
    rivals: int = Field(default=256, ge=2)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        ours, theirs = (F.normalize(x.float(), dim=1) for x in (prediction, target))
        parts = []
        for a, b in zip(ours.split(self.rivals), theirs.split(self.rivals), strict=True):
            logits = a @ b.T / self.temperature
            own = torch.arange(len(a), device=a.device)
            parts.append(F.cross_entropy(logits, own, reduction="none"))
        return torch.cat(parts) if parts else prediction.sum(1)


class RankLoss(Loss, kind="rank"):
    """Whether numbers come in the order of their targets: for each token, the mean over the others
    of -log sigmoid of how much higher the one of the larger target is put; equal targets are not
    compared (the relative loss of HPM, Wang et al. 2023; RankNet, Burges et al. 2005).

    Time and memory grow with the square of the tokens compared.
    """

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        return self.within(prediction, target, Segments.of_lengths([len(prediction)]))

    def within(self, prediction: Tensor, target: Tensor, segments: Segments) -> Tensor:
        """(A,) from (A, 1) and (A, 1), comparing tokens of the same segment; 0 where there is
        nobody to compare with. Raises ``BadConfig`` for more than one number a token."""
        if prediction.shape[1] != 1:
            raise BadConfig(
                "loss=rank compares tokens by one number", found=f"{prediction.shape[1]} a token"
            )
        said, true = prediction[:, 0].float(), target[:, 0].float()
        found = torch.zeros_like(said)
        for length in segments.lengths.unique().tolist():  # known on the host
            starts = segments.offsets[:-1][segments.lengths == length]
            rows = (starts[:, None] + torch.arange(length)).to(said.device)
            found = found.index_put((rows,), _misordered(said[rows], true[rows]))
        return found


def _misordered(said: Tensor, true: Tensor) -> Tensor:
    """(N, K) each token's mean over the K - 1 others of its list, both (N, K)."""
    order = torch.sign(true[:, :, None] - true[:, None])
    each = F.softplus(-order * (said[:, :, None] - said[:, None])) * order.abs()
    return each.sum(2) / order.abs().sum(2).clamp(min=1)


def mean_known(error: Tensor, observed: Tensor | None) -> Tensor:
    """(A,) the mean of (A, F) errors over what is observed; 0 where nothing is."""
    if observed is None:
        return error.mean(1)
    return (error * observed).sum(1) / observed.sum(1).clamp(min=1)


def _rows(points: Tensor, index: Tensor) -> Tensor:
    """(A, K, D) points at (A, L): (A, L, D)."""
    return points.gather(1, index[..., None].expand(*index.shape, points.shape[-1]))
