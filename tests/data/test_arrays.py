import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymae.data.sources import Subset, open_source
from anymae.data.sources.pairs import split_pair
from anymae.errors import BadInput

from .tiny import TinyImage

PICTURES = np.arange(5 * 2 * 2).reshape(5, 2, 2)
IMAGE = TinyImage()


@pytest.mark.parametrize(
    "array",
    [PICTURES, PICTURES.astype(">f4"), torch.from_numpy(PICTURES), PICTURES.astype(bool)],
    ids=["integers", "big-endian", "tensor", "booleans"],
)
def test_samples_lie_on_the_first_axis(array):
    source = open_source(array, IMAGE)
    assert len(source) == 5
    assert source.labels is None
    assert source.label(2) is None
    np.testing.assert_array_equal(np.asarray(source[2]), np.asarray(array[2]))
    torch.as_tensor(source[2])


def test_a_tensor_arrives_without_its_gradient():
    assert not open_source(torch.ones(2, 3, requires_grad=True), IMAGE)[0].requires_grad


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[1, None]], dtype=object), "real numbers; found dtype object"),
        (np.ones((2, 2), complex), "real numbers; found dtype complex128"),
        (torch.ones(2, 2, dtype=torch.complex64), "real numbers; found dtype torch.complex64"),
        (torch.eye(2).to_sparse(), "real numbers; found dtype sparse"),
        (np.array([["a", "b"]]), "real numbers; found dtype <U1"),
        (np.zeros((2, 2), "datetime64[s]"), "real numbers; found dtype datetime64[s]"),
        (np.ma.masked_equal(np.eye(2), 0), "their mask would be lost"),
        (np.ones(7), "found shape (7,); expected (samples, ...)"),
        (np.ones((3, 0, 2)), "found shape (3, 0, 2)"),
        (np.array(3.0), "found shape ()"),
        (np.ones((0, 2)), "the data set is empty"),
    ],
)
def test_an_array_that_holds_no_samples_is_refused(array, said):
    with pytest.raises(BadInput) as caught:
        open_source(array, IMAGE)
    assert said in str(caught.value)


def test_an_object_array_inside_a_list_is_refused_at_its_index():
    source = open_source([PICTURES[0], np.array([1, None], dtype=object)], IMAGE)
    with pytest.raises(BadInput, match=r"^sample 1: an array must hold real numbers"):
        source[1]


@pytest.mark.parametrize("index", [5, -6])
def test_past_the_end_is_an_index_error(index):
    with pytest.raises(IndexError, match=f"sample {index} of 5"):
        open_source(PICTURES, IMAGE)[index]


def test_negative_and_numpy_indices_work():
    source = open_source(PICTURES, IMAGE)
    np.testing.assert_array_equal(source[-1], source[np.int64(4)])


# Pairs

VECTOR = [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    "dataset",
    [
        (PICTURES, VECTOR),
        (torch.from_numpy(PICTURES), torch.tensor(VECTOR)),
        (list(PICTURES), np.array(VECTOR)),
        (["a.png", "b.png"], ["cat", "dog"]),
        ("folder", VECTOR),
        (PICTURES, np.ones((5, 3))),
        (np.ones((5, 8)), np.ones((5, 2))),
        (PICTURES, [torch.tensor(i) for i in VECTOR]),
    ],
)
def test_a_tuple_of_samples_and_labels_is_a_pair(dataset):
    assert split_pair(dataset) is dataset or split_pair(dataset) == dataset


@pytest.mark.parametrize(
    "dataset",
    [
        (PICTURES, PICTURES),
        (np.ones((5, 8)), np.zeros((5, 8))),
        (np.ones((5, 8)), np.zeros((6, 8))),
        (np.ones(5), np.ones(5)),
        ([1.0, 2.0], [3.0, 4.0]),
        ("a.png", "b.png"),
        (PICTURES, PICTURES, VECTOR),
        [PICTURES, VECTOR],
        (np.ones((5, 8)), np.ones((5, 2), complex)),
    ],
)
def test_other_tuples_are_samples(dataset):
    assert split_pair(dataset) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_two_samples_of_one_shape_are_never_a_pair(shape):
    assert split_pair((np.ones(shape), np.zeros(shape))) is None


def test_a_pair_that_differs_in_length_is_refused_with_a_way_out():
    with pytest.raises(BadInput) as caught:
        open_source((PICTURES, [0, 1]), IMAGE)
    assert "found 2 labels; expected 5, one a sample" in str(caught.value)
    assert "Two samples go in a list, not in a tuple" in str(caught.value)


# Labels


def labels(raw, n=3):
    return open_source((PICTURES[:n], raw), IMAGE)


def test_names_become_integers_in_sorted_order():
    source = labels(["dog", "cat", "dog"])
    assert source.classes == ["cat", "dog"]
    assert source.labels.tolist() == [1, 0, 1]
    assert source.labels.dtype == np.int64
    assert source.label(1) == 0


@pytest.mark.parametrize("raw", [[True, False, True], np.array([1, 0, 1], np.uint8)])
def test_whole_numbers_become_int64(raw):
    assert labels(raw).labels.dtype == np.int64
    assert labels(raw).classes is None


def test_a_missing_number_is_nan():
    np.testing.assert_array_equal(labels([1.5, None, 2.0]).labels, [1.5, np.nan, 2.0])


def test_labels_of_several_numbers_keep_their_shape():
    assert labels(np.ones((3, 2))).labels.shape == (3, 2)


def test_labels_may_be_arrays_of_unequal_length():
    masks = [np.ones(2, int), np.zeros(3, int), np.ones(4, int)]
    source = open_source(PICTURES[:3], IMAGE, masks)
    assert [len(source.label(i)) for i in range(3)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([0, "cat", 1], "label 1: labels must be all numbers or all names; found 'cat' after 0"),
        (["cat", None, "dog"], "label 1: labels must be all numbers or all names; found None"),
        (np.array([1, 2, 3j]), "labels must be numbers or names; found dtype complex128"),
    ],
)
def test_labels_that_mean_nothing_are_refused(raw, said):
    with pytest.raises(BadInput) as caught:
        labels(raw)
    assert said in str(caught.value)


def test_given_labels_replace_those_of_the_data_and_leave_it_alone():
    first = open_source((PICTURES, VECTOR), IMAGE)
    second = open_source(first, IMAGE, ["a", "b", "a", "b", "b"])
    assert first.labels.tolist() == VECTOR
    assert second.labels.tolist() == [0, 1, 0, 1, 1]
    assert open_source(first, IMAGE) is first


# Subset


def test_a_subset_is_a_view_with_its_labels_and_places():
    source = open_source((PICTURES, ["a", "b", "a", "c", "c"]), IMAGE)
    subset = Subset(source, [4, 0])
    np.testing.assert_array_equal(subset[0], PICTURES[4])
    assert subset.labels.tolist() == [2, 0]
    assert subset.classes == ["a", "b", "c"]
    assert subset.where(0) == "sample 4"
    assert subset.fingerprint() != Subset(source, [0, 4]).fingerprint()


@pytest.mark.parametrize("indices", [[5], [-1], [[0, 1]]])
def test_a_subset_of_what_is_not_there_is_refused(indices):
    with pytest.raises(BadInput, match="expected a vector of numbers from 0 to 4"):
        Subset(open_source(PICTURES, IMAGE), indices)
