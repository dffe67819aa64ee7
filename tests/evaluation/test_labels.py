import numpy as np
import pytest

from anymae.errors import BadConfig, BadInput
from anymae.evaluation.labels import classes_of, codes_of, hold_out, kind_of, labelled, numbers_of

from .tiny import Walks, walks

SAMPLES = walks(6)[0]


def data(labels, role="train"):
    return labelled((SAMPLES[: len(labels)], labels), Walks(), role=role)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b", "a"], "classification"),
        ([3, 7, 3], "classification"),
        ([True, False, True], "classification"),
        ([1.0, 2.0, 1.0], "classification"),
        ([0.1, 0.2, 0.1], "regression"),
        (np.array([[0.1, 1.0], [0.2, 2.0], [0.3, 3.0]]), "regression"),
    ],
)
def test_labels_say_what_they_call_for(labels, kind):
    assert kind_of(data(labels), None) == kind


def test_many_whole_floats_are_numbers():
    many = labelled((walks(40)[0], np.arange(40.0)), Walks())
    assert kind_of(many, None) == "regression"
    assert kind_of(many, "classification") == "classification"
    assert kind_of(data([3, 7, 3]), "regression") == "regression"


def test_labels_keep_their_values():
    named = data(["cat", "ant", "cat"])
    assert named.own.tolist() == ["cat", "ant", "cat"]
    assert classes_of(named).tolist() == ["ant", "cat"]
    assert codes_of(named, classes_of(named)).tolist() == [1, 0, 1]
    assert classes_of(data([7, 3, 7])).tolist() == [3, 7]


def test_positions_stand_for_the_names_of_the_other_set():
    numbers, names = data([1, 0, 1]), data(["cat", "ant", "cat"])
    assert numbers.named(names.names).own.tolist() == ["cat", "ant", "cat"]
    assert data([7, 0, 1]).named(names.names).own.tolist() == [7, 0, 1]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0.5, np.nan, 0.2], "train, sample 1: labels are missing.*1 of 3"),
        ([1, 1, 1], "train: all labels are the same; found 1"),
        ([5, 6, 7], "class of its own.*task='regression'"),
        (np.array([[0, 1], [1, 0], [1, 1]]), "several classes a sample"),
    ],
)
def test_unusable_labels_are_refused(labels, said):
    with pytest.raises(BadInput, match=said):
        _classes(labels)


def _classes(labels):
    assert kind_of(data(labels), None) == "classification"
    return classes_of(data(labels))


def test_missing_labels_are_asked_for():
    with pytest.raises(BadInput, match=r"train: the data set has no labels.*\(samples, labels\)"):
        labelled(SAMPLES, Walks())


def test_unseen_labels_are_named():
    with pytest.raises(BadInput, match=r"test, sample 1.*found dog; expected one of ant, cat"):
        codes_of(data(["cat", "dog"], "test"), np.array(["ant", "cat"]))
    with pytest.raises(BadInput, match="of another kind"):
        codes_of(data([9, 8], "test"), np.array(["ant", "cat"]))


def test_numbers_must_agree_in_width():
    assert numbers_of(data([0.5, 1.5])).shape == (2, 1)
    with pytest.raises(BadInput, match="another number of targets"):
        numbers_of(data([0.5, 1.5]), 2)
    with pytest.raises(BadInput, match="needs numbers"):
        numbers_of(data(["a", "b"]))
    with pytest.raises(BadConfig, match="Did you mean 'regression'"):
        kind_of(data([0.5, 1.5]), "regresion")


def test_a_fifth_of_each_class_is_held_out():
    codes = np.repeat([0, 1, 2, 3], [50, 10, 2, 1])
    held = hold_out(63, codes, seed=0)
    assert np.bincount(codes[held], minlength=4).tolist() == [10, 2, 1, 0]
    assert (hold_out(63, codes, seed=0) == held).all()
    assert (hold_out(63, codes, seed=1) != held).any()
