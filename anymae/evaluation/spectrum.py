"""Spectrum: label-free figures of a matrix of features.

Shapes: n samples, d features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PAIRED = 2048
"""Samples, evenly spaced, whose pairs ``uniformity`` compares."""


def effective_rank(features: Tensor) -> float:
    """RankMe (Garrido et al. 2023): exp of the entropy of the singular values of features (n, d)
    divided by their sum. 1 to min(n, d)."""
    values = torch.linalg.svdvals(features.double())
    share = values / values.sum().clamp(min=1e-300)
    return math.exp(float(-torch.special.xlogy(share, share).sum()))


def alpha_req(features: Tensor, first: int = 3, last: int = 100) -> float:
    """alpha-ReQ (Agrawal et al. 2022): the slope a of the covariance spectrum, whose i-th
    eigenvalue falls like i ** -a; near 1 in well-spread features, large in collapsed ones.

    Least squares of logarithms with weights 1 / i, as Stringer et al. (2019) fit it, over
    eigenvalues number ``first`` to ``last`` that are above rounding; nan if those are under three.
    """
    centred = features.double() - features.double().mean(0)
    values = torch.linalg.svdvals(centred).square()
    kept = values[values > values[:1] * 1e-10][first - 1 : last]
    if len(kept) < 3:
        return math.nan
    place = torch.arange(first, first + len(kept), dtype=torch.float64)
    x, y, weight = place.log(), kept.log(), (1 / place) / (1 / place).sum()
    x, y = x - weight @ x, y - weight @ y
    return -float((weight * x) @ y / ((weight * x) @ x))


def uniformity(features: Tensor, t: float = 2.0) -> float:
    """Log of the mean of exp(-t |x - y|^2) over pairs of L2-normalised features (Wang and Isola
    2020); 0 if all are the same, at best about -2 t. nan for one sample."""
    step = max(1, len(features) // PAIRED)
    unit = F.normalize(features[::step].double(), dim=1)
    if len(unit) < 2:
        return math.nan
    return float(torch.pdist(unit).square().mul(-t).exp().mean().log())


def mean_cosine(features: Tensor) -> float:
    """The mean cosine similarity of different samples; nan for one sample."""
    count = len(features)
    if count < 2:
        return math.nan
    total = F.normalize(features.double(), dim=1).sum(0).square().sum()
    return float((total - count) / (count * (count - 1)))


def relative_spread(features: Tensor) -> float:
    """The root mean square of deviations from the mean feature vector over that of features."""
    features = features.double()
    size = features.square().mean().sqrt().clamp(min=1e-300)
    return float((features - features.mean(0)).square().mean().sqrt() / size)
