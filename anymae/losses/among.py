"""Losses that compare tokens with one another.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.losses.loss import Loss


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


class RowCorrelationLoss(Loss, kind="row-correlation"):
    """Each prediction's cosine with its own target should be 1, and with those of others 0, which
    weighs ``others``: (c_ii - 1)^2 + others sum_j c_ij^2 over the other rows j of the batch (LFR,
    Sui et al. 2024).

    At most ``rivals`` rows are compared with one another, consecutive ones.
    """

    others: float = Field(default=0.01, ge=0)
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
            cosines = a @ b.T
            own = cosines.diagonal()
            apart = cosines.square().sum(1) - own.square()
            parts.append((own - 1).square() + self.others * apart)
        return torch.cat(parts) if parts else prediction.sum(1)


class AlikeLoss(Loss, kind="alike"):
    """Rows with the same target, one number, should be alike: for each row the mean over those of
    -log of its share among all other rows, by softmax of cosines over ``temperature`` (SimMTM's
    constraint, Dong et al. 2023; Khosla et al. 2020). 0 for a row that is alone with its number.

    Time and memory grow with the square of the rows: for questions about samples.
    """

    temperature: float = Field(default=0.2, gt=0)

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        if target.shape[1] != 1:
            raise BadConfig(
                "loss=alike compares rows by one number", found=f"{target.shape[1]} a row"
            )
        rows = F.normalize(prediction.float(), dim=1)
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        logits = (rows @ rows.T / self.temperature).masked_fill(itself, -1e9)
        alike = (target == target.T) & ~itself
        surprise = -(logits.log_softmax(1) * alike).sum(1)
        return surprise / alike.sum(1).clamp(min=1)


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
