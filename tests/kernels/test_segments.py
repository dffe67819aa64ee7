"""Segments: the cut of a packed axis, on the host and on a device."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.kernels.segments import Segments

from ..toys import lengths, segments

with_empty = st.lists(st.integers(0, 5), max_size=6)


@given(with_empty)
def test_a_cut_knows_its_lengths(lengths):
    cut = segments(lengths)
    assert len(cut) == len(lengths)
    assert cut.offsets.tolist() == np.cumsum([0, *lengths]).tolist()
    assert cut.lengths.tolist() == lengths
    assert cut.total == sum(lengths)
    assert cut.longest == max(lengths, default=0)
    assert cut.equal == (lengths[0] if len(set(lengths)) == 1 else None)


@given(with_empty)
def test_every_token_knows_its_segment_and_its_place(lengths):
    cut = segments(lengths)
    owners = [b for b, n in enumerate(lengths) for _ in range(n)]
    places = [i for n in lengths for i in range(n)]
    assert cut.ids("cpu").tolist() == owners
    assert cut.within("cpu").tolist() == places
    assert cut.cumulative("cpu").tolist() == cut.offsets.tolist()
    assert cut.cumulative("cpu").dtype == torch.int32


@given(lengths, st.integers(0, 3))
def test_grown_segments_are_each_longer(lengths, by):
    assert segments(lengths).grown(by).lengths.tolist() == [n + by for n in lengths]


def test_lengths_may_be_a_tensor_or_any_iterable():
    for given_lengths in (torch.tensor([2, 3]), (2, 3), iter([2, 3])):
        assert Segments.of_lengths(given_lengths).offsets.tolist() == [0, 2, 5]


def test_what_a_device_was_given_is_kept():
    cut = segments([2, 3])
    assert cut.ids("cpu") is cut.ids(torch.device("cpu"))


def test_a_cut_travels_between_processes():
    cut = segments([2, 0, 3])
    cut.ids("cpu")
    copy = pickle.loads(pickle.dumps(cut))
    assert copy.offsets.tolist() == cut.offsets.tolist()
    assert copy.ids("cpu").tolist() == [0, 0, 2, 2, 2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_device_gets_the_same_numbers():
    cut = segments([2, 0, 3])
    for name in ("ids", "within", "cumulative"):
        there = getattr(cut, name)("cuda")
        assert there.device.type == "cuda"
        assert there.tolist() == getattr(cut, name)("cpu").tolist()
