"""Labels of single tokens, such as the nodes of a graph."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import anymae
from anymae.encoder import EncoderConfig
from anymae.errors import BadInput
from anymae.model import Model
from anymae.recipes.pixels import MAE
from anymae.targets import Content

from .tiny import Walks, walks

TASK = "node-classification"


@pytest.fixture(scope="module")
def net():
    method = MAE.model_copy(update={"target": Content()})
    return Model(Walks(), method, EncoderConfig(width=16, depth=1, heads=2)).eval()


@pytest.fixture(scope="module")
def data():
    """Walks whose steps are labelled by their direction; every third step has no label."""
    samples, _ = walks(40, seed=3)
    labels = [np.where(np.arange(len(s)) % 3 == 0, -1, s[:, 1] > 0) for s in samples]
    return samples, labels


def test_tokens_are_scored_as_in_scikit_learn(net, data):
    samples, labels = data
    train, test = (samples[:30], labels[:30]), (samples[30:], labels[30:])
    scores = anymae.evaluate(net, train, test, task=TASK, protocol="linear", seeds=1)
    counts = [sum(int((y >= 0).sum()) for y in part[1]) for part in (train, test)]
    assert [scores.train_samples, scores.test_samples] == counts
    rows = [np.concatenate(net.embed(part[0], pool=None)) for part in (train, test)]
    flat = [np.concatenate(part[1]) for part in (train, test)]
    x, x_test = (r[y >= 0] for r, y in zip(rows, flat, strict=True))
    y, y_test = (y[y >= 0] for y in flat)
    theirs = LogisticRegression(max_iter=1000).fit((x - x.mean(0)) / x.std(0), y)
    mine = theirs.score((x_test - x.mean(0)) / x.std(0), y_test)
    assert scores.value == pytest.approx(mine, abs=0.08)
    assert scores.raw.value > 0.95  # the label is a number of the token
    assert "token values (2 numbers)" in scores.raw_features


def test_one_set_is_split_by_its_tokens(net, data):
    scores = anymae.evaluate(net, data, task=TASK, protocol="knn", seeds=1)
    total = sum(int((y >= 0).sum()) for y in data[1])
    assert scores.train_samples + scores.test_samples == total
    assert scores.test_samples == pytest.approx(total / 5, abs=2)


def test_a_graph_needs_no_task(net, data):
    class Linked(Walks):
        name = "linked"
        provides = frozenset({"edges"})

    linked = Model(Linked(), net.recipe, net.encoder.config).eval()
    scores = anymae.evaluate(linked, data, protocol="knn", seeds=1)
    assert scores.value == anymae.evaluate(net, data, task=TASK, protocol="knn", seeds=1).value


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda y: [y[0][:-1], *y[1:]], r"train, sample 0: labels of tokens must be one a token"),
        (lambda y: [one * 0 - 1 for one in y], "train: no token has a label"),
    ],
)
def test_labels_that_do_not_fit_are_refused(net, data, spoil, said):
    with pytest.raises(BadInput, match=said):
        anymae.evaluate(net, (data[0], spoil(data[1])), task=TASK, protocol="knn")


def test_a_class_unseen_in_training_names_its_token(net, data):
    samples, labels = data
    strange = [y.copy() for y in labels[30:]]
    strange[0][1] = 7
    with pytest.raises(BadInput, match="test, token 1: labels that the training data"):
        anymae.evaluate(
            net, (samples[:30], labels[:30]), (samples[30:], strange), task=TASK, protocol="knn"
        )


def test_the_default_is_one_label_a_sample(net):
    samples, drift = walks(30, seed=1)
    scores = anymae.evaluate(net, (samples, drift > 0), protocol="knn", seeds=1)
    assert scores.train_samples + scores.test_samples == 30
    assert replace(scores).task == "classification"
