"""Farthest points and nearest neighbours: the fast ones against their definition."""

from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.kernels import choice
from anymae.kernels.neighbours import choose, reference, torch_native

from ..toys import equal, ragged, segments
from .ways import every_way

AXES = st.integers(1, 4)
SEEDS = st.integers(0, 1000)
lengths = st.one_of(ragged, equal, st.lists(st.integers(1, 60), min_size=1, max_size=4))


def search(body: str):
    return import_module(f"anymae.kernels.neighbours.{body}")


def cloud(lengths, axes, seed, whole):
    """Points of a ragged batch; whole numbers are full of equal distances and equal points."""
    draw = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    if whole:
        return torch.randint(-2, 3, (total, axes), generator=draw).float()
    return torch.randn(total, axes, generator=draw)


@given(lengths, AXES, SEEDS, st.booleans())
@every_way()
def test_farthest_points_are_those_of_the_definition(body, device, lengths, axes, seed, whole):
    of_points, points = segments(lengths), cloud(lengths, axes, seed, whole)
    counts = torch.tensor([1 + (seed + n) % n for n in lengths])
    found = search(body).farthest_points(points.to(device), of_points, counts)
    assert torch.equal(found.cpu(), reference.farthest_points(points, of_points, counts))


@given(lengths, AXES, SEEDS, st.booleans(), st.integers(1, 12))
@every_way()
def test_nearest_are_those_of_the_definition(body, device, lengths, axes, seed, whole, k):
    of_points, points = segments(lengths), cloud(lengths, axes, seed, whole)
    asked = [(seed + n) % 4 for n in lengths]
    queries = cloud(asked, axes, seed + 1, whole)
    wanted = reference.nearest(points, of_points, queries, segments(asked), k)
    points, queries = points.to(device), queries.to(device)
    found = search(body).nearest(points, of_points, queries, segments(asked), k)
    assert torch.equal(found.cpu(), wanted.view(-1, k))


@pytest.mark.parametrize("most", [1, 64, 1 << 18])
def test_distances_may_be_taken_in_any_portions(monkeypatch, most):
    monkeypatch.setitem(torch_native.AT_ONCE, "cpu", most)
    lengths = [50, 7, 52, 1]
    points = cloud(lengths, 3, 0, whole=True)
    found = torch_native.nearest(points, segments(lengths), points, segments(lengths), 5)
    wanted = reference.nearest(points, segments(lengths), points, segments(lengths), 5)
    assert torch.equal(found, wanted)


@every_way()
def test_a_small_set_by_hand(body, device):
    points = torch.tensor([[0.0], [1.0], [4.0], [-3.0]], device=device)
    found = search(body).farthest_points(points, segments([4]), torch.tensor([4]))
    assert found.tolist() == [2, 3, 0, 1]
    half = torch.tensor([[0.5]], device=device)
    found = search(body).nearest(points, segments([4]), half, segments([1]), 5)
    assert found.tolist() == [[0, 1, 2, 3, -1]]


@every_way()
def test_equal_points_are_all_chosen_once(body, device):
    points = torch.ones(6, 3, device=device)
    found = search(body).farthest_points(points, segments([6]), torch.tensor([6]))
    assert found.tolist() == [0, 1, 2, 3, 4, 5]
    found = search(body).nearest(points, segments([6]), points[:1], segments([1]), 8)
    assert found.tolist() == [[0, 1, 2, 3, 4, 5, -1, -1]]


@every_way()
def test_the_earliest_of_many_equals_is_chosen(body, device):
    points, cut = torch.ones(2100, 3, device=device), segments([2100])
    assert search(body).farthest_points(points, cut, torch.tensor([3])).tolist() == [0, 1, 2]
    assert search(body).nearest(points, cut, points[:1], segments([1]), 3).tolist() == [[0, 1, 2]]


@every_way()
def test_a_sample_does_not_depend_on_its_batch(body, device):
    lengths = [33, 5, 40, 33, 2, 64]
    points = cloud(lengths, 3, 5, whole=False).to(device)
    counts = torch.tensor([max(1, n // 2) for n in lengths])
    together = search(body).farthest_points(points, segments(lengths), counts)
    start = 0
    for n, count, found in zip(lengths, counts, together.split(counts.tolist()), strict=True):
        own = points[start : start + n]
        alone = search(body).farthest_points(own, segments([n]), count[None])
        assert torch.equal(found, alone + start)
        start += n


@every_way()
def test_the_same_bits_decide_in_clouds_of_any_size(body, device):
    """Clouds on both sides of what a kernel holds at once, choices torn between near-equals."""
    lengths, counts = [1023, 2, 1025, 1, 2050], torch.tensor([9, 2, 5, 1, 7])
    points = cloud(lengths, 3, 0, whole=False).mul_(0.1).add_(100).T.contiguous().T
    chosen = torch_native.farthest_points(points, segments(lengths), counts)
    there = search(body).farthest_points(points.to(device), segments(lengths), counts)
    assert torch.equal(there.cpu(), chosen)
    queries, of_queries = points[chosen], segments(counts.tolist())
    wanted = torch_native.nearest(points, segments(lengths), queries, of_queries, 4)
    found = search(body).nearest(
        points.to(device), segments(lengths), queries.to(device), of_queries, 4
    )
    assert torch.equal(found.cpu(), wanted)


def test_blocks_never_hold_much_more_than_their_points():
    draw = torch.Generator().manual_seed(0)
    lengths = torch.cat([torch.randint(1, 3000, (200,), generator=draw), torch.tensor([100_000])])
    blocks = list(torch_native._blocks(lengths))
    assert torch.equal(torch.cat(blocks).sort().values, torch.arange(201))
    held = sum(len(block) * int(lengths[block].max()) for block in blocks)
    assert held <= torch_native.SLACK * int(lengths.sum())


# Which one runs


def test_a_cpu_takes_torch(monkeypatch):
    monkeypatch.setattr(choice, "INTERPRETED", False)
    assert choose(torch.device("cpu")).body == "torch_native"
