"""Losses: how far a prediction is from its target."""

from anymae.losses.among import AlikeLoss, ContrastiveLoss, RankLoss, RowCorrelationLoss
from anymae.losses.elementwise import (
    AbsoluteLoss,
    BinaryLoss,
    ElementwiseLoss,
    SmoothLoss,
    SquaredLoss,
)
from anymae.losses.loss import Loss, mean_known
from anymae.losses.sets import ChamferLoss
from anymae.losses.vectors import CosineLoss, CrossEntropyLoss, EuclideanLoss

__all__ = [
    "AbsoluteLoss",
    "AlikeLoss",
    "BinaryLoss",
    "ChamferLoss",
    "ContrastiveLoss",
    "CosineLoss",
    "CrossEntropyLoss",
    "ElementwiseLoss",
    "EuclideanLoss",
    "Loss",
    "RankLoss",
    "RowCorrelationLoss",
    "SmoothLoss",
    "SquaredLoss",
    "mean_known",
]
