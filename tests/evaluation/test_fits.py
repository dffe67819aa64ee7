import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from anymae.evaluation.fits import logistic, ridge


@pytest.fixture
def features():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 12)) @ draw.normal(size=(12, 12))
    scores = (x - x.mean(0)) / x.std(0) @ draw.normal(size=(12, 3)) + draw.gumbel(size=(300, 3))
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), scores.argmax(1)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 100.0])
def test_logistic_regression_is_scikit_learns(features, penalty):
    x, y = features
    ours = logistic(torch.from_numpy(x), torch.from_numpy(y), 3, penalty)
    theirs = LogisticRegression(C=1 / penalty, max_iter=5000, tol=1e-8).fit(x.astype(float), y)
    wanted = theirs.coef_ - theirs.coef_.mean(0)
    found = (ours.weight - ours.weight.mean(1, keepdim=True)).T.numpy()
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())
    agreement = ours.of(torch.from_numpy(x)).values.numpy() == theirs.predict(x)
    assert agreement.mean() > 0.99


def test_logistic_regression_bears_constant_and_repeated_features(features):
    x, y = (torch.from_numpy(part) for part in features)
    wide = torch.cat([x, x, torch.zeros(len(x), 3)], 1)
    found = logistic(wide, y, 3, 1.0)
    assert found.weight.isfinite().all()
    assert (found.of(wide).values == y).float().mean() > 0.7


def test_ridge_regression_is_scikit_learns(features):
    x, _ = features
    y = (x[:, :2] * 100 + 7 + np.random.default_rng(1).normal(size=(300, 2))).astype(np.float32)
    ours = ridge(torch.from_numpy(x), torch.from_numpy(y), 10.0)
    theirs = Ridge(alpha=10.0).fit(x.astype(float), y)
    np.testing.assert_allclose(ours.weight.T, theirs.coef_, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, rtol=1e-4)
