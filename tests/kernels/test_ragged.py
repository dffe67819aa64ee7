"""Joining, parting and pooling packed axes, against loops over samples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.kernels import ragged

from ..toys import lengths, segments

pairs = st.one_of(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5),
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5)).map(
        lambda n: [n[:2]] * n[2]
    ),
)
"""Lengths of two streams of each sample, as often equal as ragged; empty ones included."""


def streams(pairs: list[tuple[int, int]]):
    of_a, of_b = (segments(of) for of in zip(*pairs, strict=True))
    return torch.randn(of_a.total, 3), of_a, torch.randn(of_b.total, 3), of_b


@given(pairs)
def test_join_puts_each_samples_rows_together(pairs):
    a, of_a, b, of_b = streams(pairs)
    joined, of_joined = ragged.join(a, of_a, b, of_b)
    rows = [
        row
        for one, two in zip(a.split(of_a.lengths.tolist()), b.split(of_b.lengths.tolist()),
                            strict=True)
        for row in (one, two)
    ]  # fmt: skip
    assert torch.equal(joined, torch.cat(rows))
    assert of_joined.lengths.tolist() == [m + n for m, n in pairs]


@given(pairs)
def test_head_and_tail_undo_join(pairs):
    a, of_a, b, of_b = streams(pairs)
    joined, of_joined = ragged.join(a, of_a, b, of_b)
    assert torch.equal(ragged.head(joined, of_joined, of_a), a)
    assert torch.equal(ragged.tail(joined, of_joined, of_b), b)


@given(pairs)
def test_gradients_pass_through_join_and_parting(pairs):
    a, of_a, b, of_b = streams(pairs)
    a.requires_grad_(), b.requires_grad_()
    joined, of_joined = ragged.join(a, of_a, b, of_b)
    weight = torch.randn_like(b)
    (ragged.tail(joined, of_joined, of_b) * weight).sum().backward()
    assert torch.equal(b.grad, weight)
    assert not a.grad.any()


def test_joined_rows_may_have_more_axes():
    a, b = torch.randn(4, 2, 3), torch.randn(3, 2, 3)
    joined, cut = ragged.join(a, segments([3, 1]), b, segments([1, 2]))
    assert torch.equal(joined, torch.cat([a[:3], b[:1], a[3:], b[1:]]))
    assert torch.equal(ragged.tail(joined, cut, segments([1, 2])), b)


@pytest.mark.parametrize("name", ["mean", "maximum"])
@given(lengths)
def test_pooling_equals_a_loop(name, lengths):
    cut = segments(lengths)
    x = torch.randn(cut.total, 3, requires_grad=True)
    parts = x.split(lengths)
    wanted = torch.stack([p.mean(0) if name == "mean" else p.amax(0) for p in parts])
    found = getattr(ragged, name)(x, cut)
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(wanted)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (found, wanted)]
    torch.testing.assert_close(*gradients)
