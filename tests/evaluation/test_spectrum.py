import math

import numpy as np
import pytest
import torch

from anymae.evaluation import spectrum

DRAW = np.random.default_rng(0)


def orthonormal(n, d):
    return np.linalg.qr(DRAW.normal(size=(n, d)))[0]


def test_equal_singular_values_have_full_rank():
    assert spectrum.effective_rank(torch.from_numpy(orthonormal(50, 8))) == pytest.approx(8)
    assert spectrum.effective_rank(torch.ones(50, 8)) == pytest.approx(1, abs=1e-6)
    assert spectrum.effective_rank(torch.randn(9000, 8, generator=torch.manual_seed(0))) > 7.99


def test_rank_is_exp_of_entropy():
    features = DRAW.normal(size=(40, 6)) @ np.diag([9, 3, 2, 1, 0.5, 0])
    values = np.linalg.svd(features, compute_uv=False)
    share = values[:5] / values.sum()
    wanted = math.exp(-(share * np.log(share)).sum())
    assert spectrum.effective_rank(torch.from_numpy(features)) == pytest.approx(wanted)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_the_slope_of_a_power_law_is_found(alpha):
    basis = orthonormal(300, 40)
    basis = np.linalg.qr(basis - basis.mean(0))[0]
    features = basis * np.arange(1, 41) ** (-alpha / 2) + 100
    assert spectrum.alpha_req(torch.from_numpy(features)) == pytest.approx(alpha, abs=1e-6)


def test_the_slope_is_a_weighted_fit():
    features = DRAW.normal(size=(200, 30)) @ DRAW.normal(size=(30, 30))
    values = np.sort(np.linalg.eigvalsh(np.cov(features.T)))[::-1][2:]
    place = np.arange(3, 31)
    slope = np.polyfit(np.log(place), np.log(values), 1, w=place**-0.5)[0]
    assert spectrum.alpha_req(torch.from_numpy(features)) == pytest.approx(-slope)
    assert math.isnan(spectrum.alpha_req(torch.from_numpy(features[:4])))


def test_uniformity_and_cosine_are_those_by_hand():
    features = DRAW.normal(size=(30, 5)) + 1
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(30) for j in range(i)]
    wanted = np.log(np.mean([np.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i, j in pairs]))
    assert spectrum.uniformity(torch.from_numpy(features)) == pytest.approx(wanted)
    cosine = np.mean([unit[i] @ unit[j] for i, j in pairs])
    assert spectrum.mean_cosine(torch.from_numpy(features)) == pytest.approx(cosine)


def test_constant_features_score_as_such():
    same = torch.ones(20, 4)
    assert spectrum.uniformity(same) == pytest.approx(0)
    assert spectrum.mean_cosine(same) == pytest.approx(1)
    assert spectrum.relative_spread(same) == 0
    assert spectrum.relative_spread(torch.tensor([[1.0], [-1.0]])) == 1
