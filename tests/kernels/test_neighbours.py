"""Farthest points and nearest neighbours: the fast ones against their definition."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.kernels.neighbours import farthest_points, nearest, reference, torch_native

from ..toys import equal, ragged, segments

AXES = st.integers(1, 4)
SEEDS = st.integers(0, 1000)
lengths = st.one_of(ragged, equal, st.lists(st.integers(1, 60), min_size=1, max_size=4))


def cloud(lengths, axes, seed, whole):
    """Points of a ragged batch; whole numbers are full of equal distances and equal points."""
    draw = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    if whole:
        return torch.randint(-2, 3, (total, axes), generator=draw).float()
    return torch.randn(total, axes, generator=draw)


@given(lengths, AXES, SEEDS, st.booleans())
def test_farthest_points_are_those_of_the_definition(lengths, axes, seed, whole):
    of_points, points = segments(lengths), cloud(lengths, axes, seed, whole)
    counts = torch.tensor([1 + (seed + n) % n for n in lengths])
    found = farthest_points(points, of_points, counts)
    assert torch.equal(found, reference.farthest_points(points, of_points, counts))


@given(lengths, AXES, SEEDS, st.booleans(), st.integers(1, 12))
def test_nearest_are_those_of_the_definition(lengths, axes, seed, whole, k):
    of_points, points = segments(lengths), cloud(lengths, axes, seed, whole)
    asked = [(seed + n) % 4 for n in lengths]
    queries = cloud(asked, axes, seed + 1, whole)
    wanted = reference.nearest(points, of_points, queries, segments(asked), k)
    found = nearest(points, of_points, queries, segments(asked), k)
    assert torch.equal(found, wanted.view(-1, k))


@pytest.mark.parametrize("most", [1, 64, 1 << 18])
def test_distances_may_be_taken_in_any_portions(monkeypatch, most):
    monkeypatch.setitem(torch_native.AT_ONCE, "cpu", most)
    lengths = [50, 7, 52, 1]
    points = cloud(lengths, 3, 0, whole=True)
    found = nearest(points, segments(lengths), points, segments(lengths), 5)
    wanted = reference.nearest(points, segments(lengths), points, segments(lengths), 5)
    assert torch.equal(found, wanted)


def test_a_small_set_by_hand():
    points = torch.tensor([[0.0], [1.0], [4.0], [-3.0]])
    assert farthest_points(points, segments([4]), torch.tensor([4])).tolist() == [2, 3, 0, 1]
    found = nearest(points, segments([4]), torch.tensor([[0.5]]), segments([1]), 5)
    assert found.tolist() == [[0, 1, 2, 3, -1]]


def test_equal_points_are_all_chosen_once():
    points = torch.ones(6, 3)
    found = farthest_points(points, segments([6]), torch.tensor([6]))
    assert found.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_sample_does_not_depend_on_its_batch():
    lengths = [33, 5, 40, 33, 2, 64]
    points = cloud(lengths, 3, 5, whole=False)
    counts = torch.tensor([max(1, n // 2) for n in lengths])
    together = farthest_points(points, segments(lengths), counts).split(counts.tolist())
    start = 0
    for n, count, found in zip(lengths, counts, together, strict=True):
        own = farthest_points(points[start : start + n], segments([n]), count[None])
        assert torch.equal(found, own + start)
        start += n


def test_blocks_never_hold_much_more_than_their_points():
    draw = torch.Generator().manual_seed(0)
    lengths = torch.cat([torch.randint(1, 3000, (200,), generator=draw), torch.tensor([100_000])])
    blocks = list(torch_native._blocks(lengths))
    assert torch.equal(torch.cat(blocks).sort().values, torch.arange(201))
    held = sum(len(block) * int(lengths[block].max()) for block in blocks)
    assert held <= torch_native.SLACK * int(lengths.sum())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_device_chooses_the_same_points():
    lengths = [500, 20, 431, 500]
    points = cloud(lengths, 3, 0, whole=False)
    counts = torch.tensor([32, 8, 32, 32])
    here = farthest_points(points, segments(lengths), counts)
    there = farthest_points(points.cuda(), segments(lengths), counts)
    assert torch.equal(there.cpu(), here)
    queries, of_queries = points[here], segments(counts.tolist())
    found = nearest(points.cuda(), segments(lengths), queries.cuda(), of_queries, 16)
    assert torch.equal(found.cpu(), nearest(points, segments(lengths), queries, of_queries, 16))
