"""Along edges: who sees whom, in the encoder and in the decoder, by what moves what."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anymae import layouts
from anymae.config import with_overrides
from anymae.decoders import EdgeDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.masks import Roles
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.recipes.pixels import MAE
from anymae.tokens import Edges, Packed, Tokens

from .toys import ENCODER, Toy, keys, line, segments, shaken

F = 6
ALONG = ENCODER.model_copy(update={"layout": "edges", "cls": False})
OF_GRAPHS = {
    "decoder": "edges", "decoder.depth": 1, "position": "none", "target.normalise": "none",
}  # fmt: skip


class Nodes(Toy):
    """Samples are ``Tokens``."""

    provides = frozenset({"edges"})
    numbers_an_edge: int = 0

    @property
    def edge_dim(self) -> int:
        return self.numbers_an_edge

    def tokenize(self, sample: Tokens) -> Tokens:
        return sample


def recipe(**changes) -> Recipe:
    return with_overrides(MAE, OF_GRAPHS | changes, "test")


def model(encoder: EncoderConfig = ALONG, numbers_an_edge: int = 0, **changes) -> Model:
    return shaken(Model(Nodes(numbers_an_edge=numbers_an_edge), recipe(**changes), encoder))


def graph(nodes: int, pairs: list[tuple[int, int]], numbers: int = 0, seed: int = 0) -> Tokens:
    draw = torch.Generator().manual_seed(seed)
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    values = torch.randn(len(pairs), numbers, generator=draw) if numbers else None
    return Tokens(
        torch.randn(nodes, F, generator=draw), torch.zeros(nodes, 2), edges=Edges(edges, values)
    )


def batch(*graphs: Tokens) -> Packed:
    return Packed.of(graphs).with_keys(keys(len(graphs)))


def both(*pairs: tuple[int, int]) -> list[tuple[int, int]]:
    return [*pairs, *((b, a) for a, b in pairs)]


PATH = both((0, 1), (1, 2), (2, 3), (3, 4))


def roles(packed: Packed, hidden: list[int]) -> Roles:
    """Roles in which the packed tokens ``hidden`` are hidden, and all of them asked."""
    masked = torch.zeros(packed.segments.total, dtype=torch.bool)
    masked[hidden] = True
    cut = [int(part.sum()) for part in masked.split(packed.segments.lengths.tolist())]
    of_hide = segments(cut)
    of_see = segments((packed.segments.lengths - torch.tensor(cut)).tolist())
    hide, see = masked.nonzero()[:, 0], (~masked).nonzero()[:, 0]
    return Roles(see, of_see, hide, of_hide, hide, of_hide)


def moved_by(packed: Packed, output, rows: int) -> Tensor:
    """(rows, T) bool: whether a token's values move a row of ``output(packed)``."""
    values = packed.values.clone().requires_grad_()
    out = output(Packed(values, packed.coords, packed.segments, edges=packed.edges,
                        keys=packed.keys))  # fmt: skip
    assert len(out) == rows
    weight = torch.linspace(-1, 1, out.shape[1])
    slopes = [torch.autograd.grad((row * weight).sum(), values, retain_graph=True)[0]
              for row in out]  # fmt: skip
    return torch.stack(slopes).ne(0).any(-1)


def reach(nodes: int, pairs: Tensor, steps: int) -> Tensor:
    """(nodes, nodes) bool: whether the second can be read by the first in so many layers."""
    reads = torch.eye(nodes, dtype=torch.bool)
    reads[pairs[1], pairs[0]] = True
    seen = torch.eye(nodes)
    for _ in range(steps):
        seen = reads.float() @ seen
    return seen > 0


# The layout


@given(st.data())
def test_edges_equal_a_dense_mask(data):
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    lead = data.draw(st.integers(0, 2))
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    pairs = [
        (start + a, start + b)
        for start, n in zip(starts, lengths, strict=True)
        for a, b in data.draw(
            st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=8)
        )
        if a != b
    ]
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    layout = layouts.edges(edges, None, segments([lead] * len(lengths)), segments(lengths))
    total = sum(lengths) + lead * len(lengths)
    q, k, v = torch.randn(3, total, 2, 4)
    allowed = _who_reads_whom(lengths, lead, pairs)
    scores = torch.einsum("qhd,khd->hqk", q, k) / 2
    share = scores.masked_fill(~allowed, -float("inf")).softmax(-1)
    wanted = torch.einsum("hqk,khd->qhd", share, v)
    torch.testing.assert_close(layout.attend(q, k, v), wanted, rtol=1e-5, atol=1e-5)


def _who_reads_whom(lengths: list[int], lead: int, pairs: list[tuple[int, int]]) -> Tensor:
    """(T, T) bool from the sentence that defines the layout, token by token."""
    rows = [(b, "register", r) if r < lead else (b, "token", r - lead)
            for b, n in enumerate(lengths) for r in range(n + lead)]  # fmt: skip
    number = {}
    for row in rows:
        if row[1] == "token":
            number[row] = len(number)
    allowed = torch.eye(len(rows), dtype=torch.bool)
    for i, reader in enumerate(rows):
        for j, read in enumerate(rows):
            same = reader[0] == read[0] and reader[1] != read[1]
            along = (number.get(read), number.get(reader)) in pairs
            allowed[i, j] |= same or along
    return allowed


def test_biases_belong_to_their_edges():
    pairs = torch.tensor([[0, 1, 2], [1, 2, 0]])
    bias = torch.randn(3, 2, 1)
    layout = layouts.edges(pairs, bias, segments([1]), segments([3]))
    along = layout.adjacency.pairs.T.tolist()
    found = {tuple(pair): b for pair, b in zip(along, layout.bias, strict=True)}
    for (a, b), own in zip(pairs.T.tolist(), bias, strict=True):
        assert torch.equal(found.pop((a + 1, b + 1)), own)
    assert all(rest.eq(0).all() for rest in found.values())


# The encoder


@given(st.integers(1, 3), st.data())
def test_the_encoder_reads_as_far_as_it_is_deep(depth, data):
    node = st.integers(0, 5)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=8))
    packed = batch(graph(6, pairs), graph(2, [(0, 1)]))
    encoder = model(ALONG.model_copy(update={"depth": depth}))
    found = moved_by(packed, lambda p: encoder.encode(p).tokens(), 8)
    assert torch.equal(found, reach(8, packed.edges.pairs, depth))


def test_a_register_joins_all_nodes_of_its_graph():
    packed = batch(graph(3, []), graph(2, []))
    found = moved_by(packed, lambda p: model(
        ALONG.model_copy(update={"registers": 1})).encode(p).tokens(), 5)  # fmt: skip
    wanted = torch.block_diag(torch.ones(3, 3), torch.ones(2, 2)).bool()
    assert torch.equal(found, wanted)


def test_a_value_of_an_edge_moves_the_node_it_enters():
    pairs = torch.tensor([(0, 1), (2, 1), (1, 3)]).T
    plain = graph(4, [])
    made = model(ALONG.model_copy(update={"depth": 1}), numbers_an_edge=2)
    values = torch.zeros(3, 2)
    found = []
    for number in (0.0, 1.0):
        values[1, 0] = number
        sample = Tokens(plain.values, plain.coords, edges=Edges(pairs, values.clone()))
        found.append(made.encode(batch(sample)).tokens())
    assert (found[0] != found[1]).any(1).tolist() == [False, True, False, False]


def test_dropped_nodes_take_their_edges_with_them():
    packed = batch(graph(5, PATH))
    given = roles(packed, [2])
    made = model(mask={"ratio": 0.5})

    def latents(p: Packed) -> Tensor:
        return made._encode_masked(p, given)[0].tokens()

    wanted = torch.zeros(4, 5, dtype=torch.bool)
    wanted[:2, :2], wanted[2:, 3:] = True, True
    assert torch.equal(moved_by(packed, latents, 4), wanted)


# The decoder


@pytest.mark.parametrize("corruption", ["drop", "mask-token"])
@pytest.mark.parametrize("depth", [1, 2])
def test_an_answer_comes_from_seen_nodes_within_reach(corruption, depth):
    packed = batch(graph(5, PATH), graph(4, [(0, 1), (1, 2), (2, 3)]))
    hidden = [1, 2, 6, 8]
    given = roles(packed, hidden)
    made = model(corruption=corruption, **{"decoder.depth": depth})
    found = moved_by(packed, lambda p: made(p, given).prediction, 4)

    seen = torch.ones(9, dtype=torch.bool)
    seen[hidden] = False
    pairs = packed.edges.pairs
    if corruption == "drop":
        inner = pairs[:, seen[pairs].all(0)]
        latents = reach(9, inner, 2)
    else:
        latents = reach(9, pairs, 2)
    latents = latents & seen[:, None]  # what the encoder made of hidden nodes is not handed over
    answers = (reach(9, pairs, depth).float() @ latents.float() > 0) & seen
    assert torch.equal(found, answers[hidden])


@pytest.mark.parametrize("corruption", ["drop", "mask-token"])
def test_a_hidden_node_is_hidden_again(corruption):
    """Re-masking: what the encoder made of hidden nodes never reaches the decoder."""
    packed = batch(graph(5, PATH), graph(3, both((0, 1), (1, 2))))
    given = roles(packed, [1, 2, 7])
    made = model(corruption=corruption)
    before = made(packed, given).prediction
    forward = made.encoder.forward

    def tampered(*args, **kwargs):
        latents = forward(*args, **kwargs)
        if corruption == "mask-token":
            latents.x[given.hide] = 1e3
        return latents

    made.encoder.forward = tampered
    torch.testing.assert_close(made(packed, given).prediction, before, rtol=0, atol=0)


def test_what_the_encoder_made_of_seen_nodes_does_reach_it():
    packed = batch(graph(5, PATH))
    given = roles(packed, [1, 2])
    made = model(corruption="mask-token")
    before = made(packed, given).prediction
    forward = made.encoder.forward

    def tampered(*args, **kwargs):
        latents = forward(*args, **kwargs)
        latents.x[given.see] += 1.0
        return latents

    made.encoder.forward = tampered
    assert (made(packed, given).prediction != before).any(1).all()


def test_a_hidden_node_without_edges_gets_the_same_answer_as_another():
    packed = batch(graph(3, []), graph(2, []))
    given = roles(packed, [0, 2, 4])
    prediction = model()(packed, given).prediction
    torch.testing.assert_close(prediction, prediction[:1].expand(3, F))


def test_a_graph_s_answers_do_not_depend_on_its_batch_mates():
    one, other = graph(5, PATH, seed=1), graph(4, both((0, 3)), seed=2)
    made = model()
    alone = made(batch(one), roles(batch(one), [1, 3])).prediction
    together = batch(other, one)
    found = made(together, roles(together, [2, 5, 7])).prediction[1:]
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)


def test_the_numbering_of_nodes_does_not_matter():
    plain = graph(5, PATH, numbers=2)
    order = torch.tensor([3, 1, 4, 0, 2])
    place = order.argsort()
    mixed = Tokens(plain.values[order], plain.coords[order],
                   edges=Edges(place[plain.edges.pairs], plain.edges.values))  # fmt: skip
    made = model(numbers_an_edge=2)
    a = made(batch(plain), roles(batch(plain), [0, 3])).prediction
    b = made(batch(mixed), roles(batch(mixed), sorted(place[[0, 3]].tolist()))).prediction
    torch.testing.assert_close(b[place[[0, 3]].argsort().argsort()], a, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("corruption", ["drop", "mask-token"])
def test_every_parameter_is_reached(corruption):
    packed = batch(graph(5, PATH, numbers=2), graph(4, both((0, 1), (2, 3)), numbers=2))
    made = model(numbers_an_edge=2, corruption=corruption)
    output = made(packed, roles(packed, [2, 5]))
    output.loss.backward()
    slopes = {name: p.grad for name, p in made.named_parameters() if p.numel()}
    idle = [name for name, slope in slopes.items() if slope is None or not slope.any()]
    assert idle == []


def test_every_block_has_a_bias_of_its_own():
    packed = batch(graph(5, PATH, numbers=2))
    made = model(numbers_an_edge=2, **{"decoder.depth": 2})
    made(packed, roles(packed, [2])).loss.backward()
    for choice in (made.encoder.layouts, made.decoder.layouts):
        assert len(choice.edge_bias.bias) == 2 * choice.heads
        assert choice.edge_bias.bias.grad.ne(0).all()


# What does not fit


def test_tokens_without_edges_are_refused_by_the_layout():
    packed = line([4])
    with pytest.raises(BadConfig, match="needs tokens that have edges"):
        model().encode(packed)


def test_tokens_without_edges_are_refused_by_the_decoder():
    packed = line([4])
    with pytest.raises(BadConfig, match="decoder=edges needs tokens that have edges"):
        model(ENCODER)(packed, roles(packed, [1]))


def test_a_modality_without_edges_is_refused():
    with pytest.raises(IncompatibleRecipe, match="needs edges"):
        Model(Toy(), recipe(), ENCODER)


def test_its_size_follows_the_encoder():
    assert EdgeDecoder().sized(ENCODER.model_copy(update={"width": 128, "depth": 6})) == (64, 2, 2)
