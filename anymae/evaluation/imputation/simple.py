"""Simple imputers, which a model must beat: means and modes, neighbours, chained regressions.

Shapes: n training samples, m test samples, P places, F numbers a token.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from anymae.evaluation.imputation.grid import Grid


def mean_or_mode(train: Grid, test: Grid) -> Tensor:
    """(m, P, F) each place's mean over the training samples: of one-hot categories, shares."""
    count = train.known.sum(0).clamp(min=1)
    mean = torch.where(train.known, train.values, 0.0).double().sum(0) / count
    return mean.float().expand(len(test.values), -1, -1)


def neighbours(train: Grid, test: Grid, count: int) -> Tensor:
    """(m, P, F) means over the ``count`` nearest training samples that have the token, by the
    distance of what both know (Troyanskaya et al. 2001; scikit-learn's ``KNNImputer``)."""
    from sklearn.impute import KNNImputer

    return _imputed(KNNImputer(n_neighbors=count, keep_empty_features=True), train, test)


def chained(train: Grid, test: Grid, rounds: int, ridge: float = 1.0) -> Tensor:
    """(m, P, F) by a ridge regression of each place on all others in turn, gaps first filled with
    means, ``rounds`` times (van Buuren 2011, without its random draws). All numbers of a place are
    predicted together: one category must not be predicted from the others of its own column."""
    slots = _slots(train, test)
    place = torch.arange(len(slots))[:, None].expand_as(slots)[slots]
    rows = torch.cat([train.flat(slots), test.flat(slots)]).double()
    known = ~rows.isnan()
    mean = rows[: len(train.values)].nanmean(0).nan_to_num()
    rows = torch.where(known, rows, mean) - mean
    examples = torch.arange(len(rows)) < len(train.values)
    for _ in range(rounds):
        for one in range(len(slots)):
            mine = place == one
            there = known[:, mine].any(1)
            if there.all() or not (there & examples).any():
                continue
            x, y = rows[:, ~mine], rows[:, mine]
            x_fit, y_fit = x[there & examples], y[there & examples]
            penalty = ridge * torch.eye(x.shape[1], dtype=x.dtype)
            weights = torch.linalg.solve(x_fit.T @ x_fit + penalty, x_fit.T @ y_fit)
            rows[:, mine] = torch.where(there[:, None], y, x @ weights)
    return test.unflat((rows + mean)[len(train.values) :], slots)


def _slots(train: Grid, test: Grid) -> Tensor:
    """(P, F) the numbers that are known in some sample."""
    return train.known.any(0) | test.known.any(0)


def _imputed(imputer: Any, train: Grid, test: Grid) -> Tensor:
    slots = _slots(train, test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a number that never varies
        imputer.fit(train.flat(slots).double().numpy())
        rows = imputer.transform(test.flat(slots).double().numpy())
    return test.unflat(torch.from_numpy(rows), slots)
