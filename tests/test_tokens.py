"""Tokens and Packed: packing is exact, reversible, and refuses what does not fit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadInput
from anymae.tokens import Edges, Packed, Tokens, concatenate

from .toys import batch, keys, lengths, segments


def sample(n: int, seed: int = 0, with_edge_values: bool = True) -> Tokens:
    """One sample with everything a sample can have."""
    draw = torch.Generator().manual_seed(100 * seed + n)
    return Tokens(
        values=torch.randn(n, 3, generator=draw),
        coords=torch.randint(0, 9, (n, 2), generator=draw),
        side={"time": torch.arange(n) + 10 * seed, "energy": torch.randn(n, 2, generator=draw)},
        context={"mean": torch.randn(4, generator=draw)},
        edges=Edges(
            torch.randint(0, n, (2, 2 * n), generator=draw),
            torch.randn(2 * n, 2, generator=draw) if with_edge_values else None,
        ),
    )


def some(lengths: list[int]) -> list[Tokens]:
    return [sample(n, i) for i, n in enumerate(lengths)]


def same(a: Tokens | Packed, b: Tokens | Packed) -> bool:
    flat = [
        [x.values, x.coords, *(x.edges or ()), *x.side.values(), *x.context.values()]
        + ([x.offsets, x.keys] if isinstance(x, Packed) else [])
        for x in (a, b)
    ]
    return a.side.keys() == b.side.keys() and all(
        x is y is None or torch.equal(x, y) for x, y in zip(*flat, strict=True)
    )


# Packing and splitting


@given(lengths)
def test_split_undoes_of(lengths):
    samples = some(lengths)
    packed = Packed.of(samples)
    assert len(packed) == len(lengths)
    assert packed.offsets.tolist() == np.cumsum([0, *lengths]).tolist()
    assert all(same(a, b) for a, b in zip(packed.split(), samples, strict=True))


@given(lengths, st.data())
def test_select_takes_tokens_and_keeps_the_edges_among_them(lengths, data):
    packed = Packed.of(some(lengths)).with_keys(keys(len(lengths)))
    picked = [sorted(data.draw(st.sets(st.integers(0, n - 1)))) for n in lengths]
    flat = [int(start) + i for start, own in zip(packed.offsets, picked, strict=False) for i in own]
    chosen = packed.select(
        torch.tensor(flat, dtype=torch.int64), segments([len(own) for own in picked])
    )
    assert torch.equal(chosen.values, packed.values[flat])
    assert torch.equal(chosen.coords, packed.coords[flat])
    assert all(torch.equal(chosen.side[k], packed.side[k][flat]) for k in packed.side)
    assert torch.equal(chosen.context["mean"], packed.context["mean"])
    assert torch.equal(chosen.keys, packed.keys)
    new = {old: i for i, old in enumerate(flat)}
    kept = [[new[a], new[b]] for a, b in packed.edges.pairs.T.tolist() if a in new and b in new]
    assert chosen.edges.pairs.T.tolist() == kept


@given(lengths, st.data())
def test_a_slice_is_the_batch_of_those_samples(lengths, data):
    start = data.draw(st.integers(0, len(lengths) - 1))
    stop = data.draw(st.integers(start + 1, len(lengths)))
    samples, names = some(lengths), keys(len(lengths))
    cut = Packed.of(samples).with_keys(names).slice(start, stop)
    assert same(cut, Packed.of(samples[start:stop]).with_keys(names[start:stop]))


@given(lengths, st.data())
def test_concatenate_undoes_slicing(lengths, data):
    whole = Packed.of(some(lengths)).with_keys(keys(len(lengths)))
    at = sorted(data.draw(st.sets(st.integers(1, len(lengths)))) | {len(lengths)})
    parts = [whole.slice(a, b) for a, b in zip([0, *at], at, strict=False)]
    assert same(concatenate(parts), whole)


def test_a_batch_moves_whole():
    packed = Packed.of(some([2, 3])).with_keys(keys(2))
    moved = packed.to("meta")
    tensors = [moved.values, moved.coords, *moved.edges, moved.keys]
    tensors += [*moved.side.values(), *moved.context.values()]
    assert {t.device.type for t in tensors} == {"meta"}
    assert moved.device.type == "meta"
    assert moved.offsets.device.type == "cpu"
    assert same(packed.to("cpu"), packed)


def test_what_is_absent_stays_absent():
    plain = Packed.of([Tokens(torch.ones(2, 1), torch.zeros(2, 1))])
    for made in (plain, plain.to("cpu"), plain.slice(0, 1), concatenate([plain, plain])):
        assert made.edges is None
        assert made.keys is None
    assert plain.split()[0].edges is None


# The border


@pytest.mark.parametrize(
    ("values", "coords", "said"),
    [
        ((3,), (3, 2), "tokens must be matrices; found values (3,), coords (3, 2)"),
        ((3, 2), (3,), "expected values (n, token_dim), coords (n, coord_dim)"),
        ((3, 2), (2, 2), "coords and values disagree on the number of tokens; found 2 and 3"),
    ],
    ids=["values", "coords", "count"],
)
def test_wrong_shapes_are_refused_at_the_border(values, coords, said):
    with pytest.raises(BadInput) as caught:
        Tokens(torch.zeros(values), torch.zeros(coords))
    assert said in str(caught.value)


def test_side_information_must_fit_too():
    with pytest.raises(BadInput, match=r"time and values disagree .* found 2 and 3"):
        Tokens(torch.zeros(3, 1), torch.zeros(3, 1), side={"time": torch.zeros(2)})


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        (torch.zeros(3, 2, dtype=torch.int64), "shape (3, 2); expected integers of shape (2, E)"),
        (torch.zeros(2, 4), "expected integers"),
        (torch.tensor([[0, 3], [1, 0]]), "indices 0 to 3; expected integers of shape (2, E) from"),
        (torch.tensor([[0, -1], [1, 0]]), "indices -1 to 1"),
    ],
    ids=["shape", "type", "beyond", "negative"],
)
def test_edges_stay_inside_their_sample(edges, said):
    with pytest.raises(BadInput) as caught:
        Tokens(torch.zeros(3, 1), torch.zeros(3, 1), edges=Edges(edges))
    assert said in str(caught.value)


def test_no_batch_is_made_of_nothing():
    with pytest.raises(BadInput, match="cannot pack an empty batch; found 0 samples"):
        Packed.of([])


def test_a_sample_without_tokens_is_refused():
    with pytest.raises(BadInput, match="sample 1 of the batch: a sample without tokens"):
        Packed.of([sample(2), Tokens(torch.zeros(0, 3), torch.zeros(0, 2))])


PLAIN = {"values": torch.zeros(2, 3), "coords": torch.zeros(2, 2)}
STRANGERS = {
    "token_dim": {**PLAIN, "values": torch.zeros(2, 4)},
    "coord_dim": {**PLAIN, "coords": torch.zeros(2, 1)},
    "side": {**PLAIN, "side": {"time": torch.zeros(2)}},
    "context": {**PLAIN, "context": {"mean": torch.zeros(1)}},
    "edges": {**PLAIN, "edges": Edges(torch.zeros(2, 0, dtype=torch.int64))},
}


@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize("stranger_first", [False, True], ids=["second", "first"])
def test_samples_of_one_batch_must_be_of_one_kind(what, stranger_first):
    pair = [Tokens(**PLAIN), Tokens(**STRANGERS[what])]
    with pytest.raises(BadInput) as caught:
        Packed.of(pair[::-1] if stranger_first else pair)
    said = str(caught.value)
    assert "sample 1 of the batch: samples of one batch must have tokens of one kind" in said
    assert what in said


def test_a_batch_knows_its_first_token_of_each_sample():
    packed = batch([(2, 2), (1, 3)])
    assert packed.coords[packed.offsets[:-1]].tolist() == [[0, 0], [0, 0]]
    assert packed.segments.lengths.tolist() == [4, 3]
