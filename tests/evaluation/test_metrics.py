import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from anymae.evaluation.intervals import interval, resampled, students_quantile, t_half_width
from anymae.evaluation.metrics import Accuracy, Determination, Prediction

DRAW = np.random.default_rng(0)
COUNTS = DRAW.multinomial(60, np.ones(60) / 60, size=4)


def test_weighted_accuracy_counts_repeated_samples():
    truth, guess = torch.from_numpy(DRAW.integers(0, 3, size=(2, 60)))
    found = Accuracy().weighted(truth, Prediction(guess), torch.from_numpy(COUNTS).double())
    right = (truth == guess).numpy()
    wanted = [np.repeat(right, counts).mean() for counts in COUNTS]
    np.testing.assert_allclose(found, wanted)


def test_weighted_determination_is_scikit_learns_on_repeated_samples():
    truth = 1000 + DRAW.normal(size=(60, 2))
    guess = truth + DRAW.normal(size=(60, 2))
    weights = torch.from_numpy(COUNTS).double()
    found = Determination().weighted(
        torch.from_numpy(truth), Prediction(torch.from_numpy(guess)), weights
    )
    wanted = [r2_score(np.repeat(truth, c, 0), np.repeat(guess, c, 0)) for c in COUNTS]
    np.testing.assert_allclose(found, wanted)


def test_details_of_two_classes():
    truth = DRAW.integers(0, 2, size=60)
    scores = DRAW.normal(size=(60, 2)) + np.eye(2)[truth]
    found = Accuracy().details(
        torch.from_numpy(truth),
        Prediction(torch.from_numpy(scores.argmax(1)), torch.from_numpy(scores)),
    )
    assert found["auc"] == pytest.approx(roc_auc_score(truth, scores[:, 1] - scores[:, 0]))
    wanted = balanced_accuracy_score(truth, scores.argmax(1))
    assert found["balanced_accuracy"] == pytest.approx(wanted)


def test_details_of_numbers_are_in_their_units():
    found = Determination().details(torch.zeros(2, 1), Prediction(torch.tensor([[3.0], [-4.0]])))
    assert found == {"rmse": pytest.approx(12.5**0.5), "mae": 3.5}


def _mean(weights):
    return weights @ _mean.values / weights.shape[1]


_mean.values = torch.from_numpy(DRAW.normal(size=400))


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    low, high = interval(float(_mean.values.mean()), resampled(_mean, 400, 0), 0.0, (-9, 9))
    wanted = 2 * 1.96 * float(_mean.values.std()) / 20
    assert high - low == pytest.approx(wanted, rel=0.1)
    assert low < float(_mean.values.mean()) < high


def test_resamples_are_a_function_of_the_seed():
    torch.manual_seed(0)
    first = resampled(_mean, 400, 1)
    torch.manual_seed(1)
    assert torch.equal(resampled(_mean, 400, 1), first)
    assert not torch.equal(resampled(_mean, 400, 2), first)


def test_repetitions_widen_an_interval_in_quadrature():
    boot = torch.linspace(-1, 1, 1001) * 3 / 0.95
    assert interval(0.0, boot, 4.0, (-9, 9)) == pytest.approx((-5, 5), abs=1e-6)
    assert interval(0.0, boot, 4.0, (-2, 1)) == (-2, 1)


def test_the_interval_of_three_runs_is_students():
    assert t_half_width(torch.tensor([1.0, 2.0, 3.0])) == pytest.approx(4.302653 / 3**0.5)
    assert t_half_width(torch.tensor([1.0])) == 0


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 19, 50, 1000])
def test_students_quantile_is_scipys(freedom):
    from scipy.stats import t

    assert students_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=1e-7)
