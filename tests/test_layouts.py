"""Layouts: a partition of the tokens, attended to as a dense mask would."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae import layouts
from anymae.errors import BadConfig

from .toys import batch, segments, shapes

HEADS, SIZE = 2, 4


def qkv(count: int) -> list[torch.Tensor]:
    return [torch.randn(count, HEADS, SIZE, requires_grad=True) for _ in range(3)]


def attend_densely(q, k, v, allowed: torch.Tensor) -> torch.Tensor:
    """Attention over all tokens of all samples at once, ``allowed`` (T, T) bool."""
    scores = torch.einsum("qhd,khd->hqk", q, k) * SIZE**-0.5
    scores = scores.masked_fill(~allowed, float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)


def who_sees_whom(coords, lengths: list[int], size, shifted: bool, lead: int) -> torch.Tensor:
    """(T, T) bool, from the sentence that defines windows, token by token."""
    parts = []
    row = iter(coords.tolist())
    for b, length in enumerate(lengths):
        for place in range(length):
            if place < lead:
                parts.append((b, "register"))
                continue
            move = 0.5 if shifted else 0
            cell = [(c / s + move) // 1 for c, s in zip(next(row), size, strict=True)]
            parts.append((b, *cell))
    return torch.tensor([[one == other for other in parts] for one in parts])


def gradients(out: torch.Tensor, leaves: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return torch.autograd.grad((out * weight).sum(), leaves)


@given(shapes, st.sampled_from([1.0, 2.0, 2.5, 3.0]), st.booleans(), st.integers(0, 2))
def test_windows_equal_a_dense_mask(shapes, size, shifted, lead):
    packed = batch(shapes)
    lengths = [n + lead for n in packed.segments.lengths.tolist()]
    layout = layouts.windows(packed.coords, segments(lengths), (size,), shifted=shifted, lead=lead)
    q, k, v = leaves = qkv(sum(lengths))
    allowed = who_sees_whom(packed.coords, lengths, (size, size), shifted, lead)
    found, wanted = layout.attend(q, k, v), attend_densely(q, k, v, allowed)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        gradients(found, leaves), gradients(wanted, leaves), rtol=1e-5, atol=1e-5
    )


def test_each_coordinate_may_have_its_own_size():
    packed = batch([(4, 6), (3, 3)])
    layout = layouts.windows(packed.coords, packed.segments, (2, 3), shifted=False, lead=0)
    q, k, v = qkv(33)
    allowed = who_sees_whom(packed.coords, [24, 9], (2, 3), False, 0)
    torch.testing.assert_close(layout.attend(q, k, v), attend_densely(q, k, v, allowed))


def test_shifted_boxes_join_what_plain_boxes_part():
    coords = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    parts = [
        layouts.windows(coords, segments([4]), (2,), shifted=s, lead=0).segments.lengths.tolist()
        for s in (False, True)
    ]
    assert parts == [[2, 2], [1, 2, 1]]


def test_coordinates_may_be_real_and_negative():
    coords = torch.tensor([[-0.5], [-0.1], [0.1], [1.9]])
    layout = layouts.windows(coords, segments([4]), (1.0,), shifted=False, lead=0)
    assert layout.segments.lengths.tolist() == [2, 1, 1]


def test_equal_boxes_take_the_dense_path():
    packed = batch([(4, 4), (4, 4)])
    layout = layouts.windows(packed.coords, packed.segments, (2,), shifted=False, lead=0)
    assert layout.segments.equal == 4


@given(shapes)
def test_full_is_the_sample_itself(shapes):
    cut = batch(shapes).segments
    q, k, v = qkv(cut.total)
    owner = cut.ids("cpu")
    wanted = attend_densely(q, k, v, owner[:, None] == owner)
    torch.testing.assert_close(layouts.full(cut).attend(q, k, v), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(), (2, 2, 2)], ids=str)
def test_a_window_has_one_size_or_one_per_coordinate(size):
    packed = batch([(2, 2)])
    with pytest.raises(BadConfig) as caught:
        layouts.windows(packed.coords, packed.segments, size, shifted=False, lead=0)
    assert f"found {len(size)} sizes; expected 1 or 2" in str(caught.value)


@given(shapes, st.booleans(), st.integers(0, 1))
def test_a_box_without_an_extent_splits_by_the_other_axis_only(shapes, shifted, lead):
    packed = batch(shapes)
    lengths = [n + lead for n in packed.segments.lengths.tolist()]
    layout = layouts.windows(
        packed.coords - 2, segments(lengths), (None, 1.0), shifted=shifted, lead=lead
    )
    q, k, v = qkv(sum(lengths))
    negative = packed.coords[:, 0] - 2 < 0
    assert bool(negative.any())
    columns = packed.coords.clone()
    columns[:, 0] = 0
    allowed = who_sees_whom(columns, lengths, (1.0, 1.0), False, lead)
    torch.testing.assert_close(
        layout.attend(q, k, v), attend_densely(q, k, v, allowed), rtol=1e-5, atol=1e-5
    )
