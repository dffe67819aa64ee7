import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

import anymae
from anymae.errors import BadConfig, BadInput

from .tiny import walks


@pytest.fixture(scope="module")
def split(digits):
    images, labels = digits
    return (images[:300], labels[:300]), (images[300:500], labels[300:500])


@pytest.fixture(scope="module")
def found(model, split):
    return anymae.evaluate(model, *split)


def test_raw_features_score_as_in_scikit_learn(split, found):
    (x, y), (x_test, y_test) = ((part[0].reshape(len(part[0]), -1), part[1]) for part in split)
    scale = x.std(0) + (x.std(0) == 0)
    theirs = LogisticRegression(C=0.1, max_iter=1000).fit((x - x.mean(0)) / scale, y)
    assert found.raw.value == pytest.approx(
        theirs.score((x_test - x.mean(0)) / scale, y_test), abs=0.03
    )


def test_features_score_as_in_scikit_learn(model, split, found):
    x, x_test = (model.embed(part[0]) for part in split)
    theirs = LogisticRegression(C=1, max_iter=1000).fit((x - x.mean(0)) / x.std(0), split[0][1])
    score = theirs.score((x_test - x.mean(0)) / x.std(0), split[1][1])
    assert found.value == pytest.approx(score, abs=0.05)


def test_a_score_comes_with_its_baselines_and_intervals(found):
    assert found.metric == "accuracy"
    for score in (found, found.raw, found.random_init):
        assert score.interval[0] < score.value < score.interval[1]
        assert 0 < score.interval[1] - score.interval[0] < 0.4
    assert found.over_raw.value == pytest.approx(found.value - found.raw.value)
    low, high = found.over_random_init.interval
    assert low < 0 < high  # an untrained model is one of the random ones
    assert "1000 resamples of 200 test samples, 3 random encoders" in found.random_init.how
    assert 0 < found.details["balanced_accuracy"] < 1


def test_scores_are_a_mapping_and_print(found):
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["raw"]["value"] == found["raw"]["value"] == found.raw.value
    assert {"value", "metric", "interval", "raw", "random_init"} <= set(found)
    for word in ("pretrained", "raw", "random init", "accuracy", "300 training and 200 test"):
        assert word in str(found)


def test_scores_are_a_function_of_the_seed(model, split, found):
    torch.manual_seed(5)
    assert anymae.evaluate(model, *split).as_dict() == found.as_dict()
    first, again, other = (
        anymae.evaluate(model, *split, protocol="knn", seeds=1, seed=seed) for seed in (0, 0, 1)
    )
    assert first.as_dict() == again.as_dict()
    assert other.value == first.value
    assert other.interval != first.interval


@pytest.mark.parametrize("protocol", ["knn", "few-shot", "svm"])
def test_every_protocol_is_far_above_chance(model, split, protocol):
    found = anymae.evaluate(model, *split, protocol=protocol, seeds=1)
    assert found.value > 0.15
    assert found.raw.value > 0.7
    assert found.interval[0] <= found.value <= found.interval[1]


def test_few_shot_reports_every_number_of_shots(model, split):
    found = anymae.evaluate(model, *split, protocol="few-shot", seeds=2)
    assert found.metric == "accuracy (10-shot)"
    shots = [found.raw.details["1-shot"], found.raw.details["5-shot"], found.raw]
    assert shots[0].value < shots[1].value < shots[2].value
    assert "20 draws" in found.how


def test_numbers_are_regressed(walker):
    samples, drift = walks(200)
    found = anymae.evaluate(walker, (samples, drift), seeds=2)
    assert (found.metric, found.task) == ("R2", "regression")
    assert (found.train_samples, found.test_samples) == (160, 40)
    assert found.raw.value > 0.9
    error = found.raw.details["rmse"]
    assert error**2 == pytest.approx((1 - found.raw.value) * drift.var(), rel=0.5)
    knn = anymae.evaluate(walker, (samples, drift), protocol="knn", seeds=1)
    assert knn.raw.value > 0.7


def test_labels_are_taken_from_where_they_are(walker, monkeypatch):
    samples, drift = walks(60)
    names = np.where(drift > 0, "right", "left")
    options = {"protocol": "knn", "seeds": 1}
    inside = anymae.evaluate(
        walker, (samples[:40], names[:40]), (samples[40:], names[40:]), **options
    )
    beside = anymae.evaluate(
        walker, samples[:40], samples[40:], labels=(names[:40], names[40:]), **options
    )
    torches = [
        [(s, int(d > 0)) for s, d in zip(samples[part], drift[part], strict=True)]
        for part in (slice(0, 40), slice(40, 60))
    ]
    mixed = anymae.evaluate(
        walker, (samples[:40], names[:40]), (samples[40:], drift[40:] > 0), **options
    )
    own = anymae.evaluate(walker, *(_Listed(part) for part in torches), **options)
    assert inside.value == beside.value == mixed.value == own.value > 0.6
    assert "auc" in inside.details


class _Listed(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_folders_are_classes(model, digits, tmp_path):
    for i, (image, label) in enumerate(zip(*(part[:80] for part in digits), strict=True)):
        folder = tmp_path / f"digit-{int(label > 4)}"
        folder.mkdir(exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).save(folder / f"{i}.png")
    found = anymae.evaluate(model, tmp_path, protocol="knn", seeds=1)
    assert (found.train_samples, found.test_samples) == (64, 16)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"protocol": "linea"}, BadConfig, "Did you mean 'linear'"),
        ({"labels": None}, BadInput, "train: the data set has no labels"),
        ({"pool": None}, BadConfig, "one vector a sample"),
        ({"seeds": 0}, BadConfig, "seeds"),
        ({"layer": 7}, BadConfig, "no such layer"),
        ({"task": "ranking"}, BadConfig, "unknown task 'ranking'"),
        ({"protocol": "svm", "task": "regression"}, BadConfig, "not defined for regression"),
    ],
)
def test_wrong_arguments_are_refused(walker, options, error, said):
    samples, drift = walks(20)
    with pytest.raises(error, match=said):
        anymae.evaluate(walker, samples, **{"labels": (drift > 0).astype(int), **options})


def test_labels_unseen_in_training_are_refused(walker):
    samples, _ = walks(20)
    with pytest.raises(BadInput, match=r"test.*training data does not have; found 2; expected"):
        anymae.evaluate(walker, (samples[:10], [0, 1] * 5), (samples[10:], [1, 2] * 5))
