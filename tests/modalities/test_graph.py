"""The graph adapter: any graph becomes tokens and comes back as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadConfig, BadInput
from anymae.modalities.graph.adapter import GraphAdapter
from anymae.modalities.graph.encodings import encoded
from anymae.modalities.graph.graph import Graph
from anymae.tokens import OBSERVED, Packed

from .graphs import fitted, graphs

RING = np.array([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])
PAIR = np.array([[0, 1], [1, 0]])


def close(found, wanted) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5, atol=1e-4)


def come_back(samples: list[Graph], **options) -> list[Graph]:
    adapter = fitted(samples, **options)
    return [adapter.untokenize(adapter.tokenize(sample)) for sample in samples]


# Tokens and back


def test_a_node_is_a_token_and_edges_are_edges():
    samples = graphs()
    adapter = fitted(samples)
    for sample in samples:
        tokens = adapter.tokenize(sample)
        assert len(tokens) == sample.nodes
        assert tokens.values.shape[1] == adapter.token_dim == 3
        assert torch.equal(tokens.edges.pairs, sample.edges)
        assert tokens.edges.values is None


def test_real_numbers_are_standardised_and_come_back():
    samples = graphs(8)
    adapter = fitted(samples)
    everything = torch.cat([adapter.tokenize(sample).values for sample in samples])
    close(everything.mean(0), np.zeros(3))
    close(everything.std(0, correction=0), np.ones(3))
    for sample, found in zip(samples, come_back(samples), strict=True):
        close(found.x, sample.x)
        assert torch.equal(found.edges, sample.edges)


def test_numbers_far_from_zero_keep_their_digits():
    x = np.array([[1e9], [1e9 + 1], [1e9 + 2]])
    sample = Graph.of(x, PAIR)
    adapter = fitted([sample])
    close(adapter.tokenize(sample).values[:, 0], np.array([-1, 0, 1]) * 1.5**0.5)


def test_a_feature_that_never_varies_is_no_danger():
    sample = Graph.of(np.array([[5.0, 1.0], [5.0, 2.0], [5.0, 4.0]]), PAIR)
    values = fitted([sample]).tokenize(sample).values
    assert values[:, 0].eq(0).all()
    assert values.isfinite().all()


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_zeros_and_ones_are_centred(dtype):
    x = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1]]).astype(dtype)
    sample = Graph.of(x, RING)
    adapter = fitted([sample])
    assert adapter.node_code.kind == "centre"
    close(adapter.tokenize(sample).values, x.astype(np.float64) - [0.5, 1, 0.25])
    close(come_back([sample])[0].x, x.astype(np.float32))


def test_bags_of_words_are_centred_too():
    x = np.zeros((4, 6))
    x[[0, 1, 2, 3], [0, 2, 2, 5]] = 0.25, 0.5, 3.0, 0.1
    sample = Graph.of(x, RING)
    assert fitted([sample]).node_code.kind == "centre"
    close(come_back([sample])[0].x, x)


def test_numbers_may_be_kept_as_they_are():
    x = np.array([[0.0, 3.0], [1.0, -1.0]])
    sample = Graph.of(x, PAIR)
    close(fitted([sample], features="keep").tokenize(sample).values, x)
    close(come_back([sample], features="keep")[0].x, x)


def test_whole_numbers_are_categories():
    samples = [Graph.of(np.array([6, 6, 8]), PAIR), Graph.of(np.array([[7], [1]]), PAIR)]
    adapter = fitted(samples)
    assert adapter.node_code.codes == ((1, 6, 7, 8),)
    assert adapter.tokenize(samples[0]).values.argmax(1).tolist() == [1, 1, 3]
    assert adapter.tokenize(samples[1]).values.sum(1).tolist() == [1, 1]
    assert come_back(samples)[0].x[:, 0].tolist() == [6, 6, 8]


def test_several_columns_of_categories_lie_side_by_side():
    sample = Graph.of(np.array([[6, 0], [8, 3], [6, 2]]), PAIR)
    adapter = fitted([sample])
    assert adapter.token_dim == (2 + 1) + (3 + 1)
    wanted = [[1, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0, 0]]
    assert adapter.tokenize(sample).values.tolist() == wanted
    assert come_back([sample])[0].x.tolist() == [[6, 0], [8, 3], [6, 2]]


def test_a_category_never_seen_is_another_one():
    adapter = fitted([Graph.of(np.array([1, 2, 3]), PAIR)])
    found = adapter.tokenize(Graph.of(np.array([3, 9, 0]), PAIR))
    assert found.values.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert adapter.untokenize(found).x[:, 0].tolist() == [3, -1, -1]


def test_categories_may_be_asked_of_floats():
    sample = Graph.of(np.array([2.0, 5.0, 2.0]), PAIR)
    assert fitted([sample]).node_code.kind == "standardise"
    assert fitted([sample], features="one-hot").node_code.codes == ((2, 5),)
    with pytest.raises(BadInput, match="whole numbers"):
        fitted([Graph.of(np.array([2.5, 5.0]), PAIR)], features="one-hot")


def test_many_whole_numbers_are_quantities():
    sample = Graph.of(np.arange(2000), PAIR)
    assert fitted([sample]).node_code.kind == "standardise"
    with pytest.raises(BadInput, match="more than 1000"):
        fitted([sample], features="one-hot")


def test_without_features_a_node_is_its_degree():
    star = Graph.of(None, np.array([[1, 2, 3, 0], [0, 0, 0, 1]]))
    adapter = fitted([star])
    assert adapter.node_code.codes == ((0, 1, 2, 3),)
    assert adapter.tokenize(star).values.argmax(1).tolist() == [3, 1, 0, 0]
    larger = Graph.of(None, np.array([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]]))
    found = adapter.tokenize(larger)
    assert found.values[0].tolist() == [0, 0, 0, 0, 1]
    assert adapter.untokenize(found).x[:, 0].tolist() == [4, 0, 0, 0, 0, 0]


def test_degrees_may_be_asked_for_in_place_of_features():
    sample = graphs(1)[0]
    adapter = fitted([sample], features="degree")
    degrees = torch.bincount(sample.edges[1], minlength=sample.nodes)
    assert torch.equal(adapter.tokenize(sample).values.argmax(1), degrees)


def test_missing_numbers_are_not_observed_and_come_back_missing():
    x = np.array([[1.0, np.nan], [3.0, 4.0], [np.nan, np.nan], [5.0, 8.0]])
    sample = Graph.of(x, RING)
    adapter = fitted([sample])
    assert adapter.node_code.missing
    close(adapter.node_code.mean, [3, 6])
    tokens = adapter.tokenize(sample)
    assert torch.equal(tokens.side[OBSERVED], torch.from_numpy(~np.isnan(x)))
    assert tokens.values.isfinite().all()
    close(adapter.untokenize(tokens).x, x)


def test_missing_numbers_are_not_shown_as_zeros():
    x = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 8.0]])
    unknown = Graph.of(x, PAIR)
    adapter = fitted([unknown])
    average = Graph.of(np.where(np.isnan(x), 6.0, x), PAIR)
    embed = adapter.embed(8)
    shown = [embed(Packed.of([adapter.tokenize(g)])) for g in (unknown, average)]
    assert torch.equal(adapter.tokenize(average).values, adapter.tokenize(unknown).values)
    assert (shown[0] != shown[1]).any(1).tolist() == [True, False, False]


def test_dropped_features_are_the_same_for_a_graph_and_others_in_the_next():
    samples = [Graph.of(np.ones((4, 50)), RING)] * 3
    adapter = fitted(samples, features="keep", feature_dropout=0.4)
    embed = adapter.embed(50)
    embed.project.weight.data.copy_(torch.eye(50))
    embed.project.bias.data.zero_()
    packed = adapter.batch_tokenize(samples).with_keys(torch.arange(3))
    shown = embed.train()(packed).view(3, 4, 50)
    assert torch.equal(shown, shown[:, :1].expand(3, 4, 50))
    assert shown[0].tolist() != shown[1].tolist()
    assert sorted(shown.unique().tolist()) == pytest.approx([0, 1 / 0.6])
    assert 60 < shown[:, 0].ne(0).sum() < 115
    assert torch.equal(embed(packed), shown.view(12, 50))
    assert torch.equal(embed.eval()(packed), packed.values)
    assert torch.equal(adapter.target(packed), packed.values)


def test_missing_categories_are_not_observed():
    sample = Graph.of(np.array([1.0, np.nan, 2.0]), PAIR)
    adapter = fitted([sample], features="one-hot")
    tokens = adapter.tokenize(sample)
    assert tokens.values.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert tokens.side[OBSERVED].any(1).tolist() == [True, False, True]
    close(adapter.untokenize(tokens).x[:, 0], [1, np.nan, 2])


def test_edge_values_are_standardised_and_come_back():
    samples = graphs(6, edge_numbers=2)
    adapter = fitted(samples)
    assert adapter.edge_dim == 2
    everything = torch.cat([adapter.tokenize(sample).edges.values for sample in samples])
    close(everything.mean(0), np.zeros(2))
    close(everything.std(0, correction=0), np.ones(2))
    for sample, found in zip(samples, come_back(samples), strict=True):
        close(found.edge_values, sample.edge_values)


def test_kinds_of_edges_are_one_hot():
    sample = Graph.of(np.eye(2), PAIR, np.array([4, 7]))
    adapter = fitted([sample])
    assert adapter.tokenize(sample).edges.values.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert come_back([sample])[0].edge_values[:, 0].tolist() == [4, 7]


def test_edge_values_may_be_left_out():
    sample = graphs(1, edge_numbers=2)[0]
    adapter = fitted([sample], edge_features="none")
    assert adapter.edge_dim == 0
    assert adapter.tokenize(sample).edges.values is None


def test_a_graph_may_have_no_edges_at_all():
    samples = [*graphs(2, edge_numbers=2), Graph.of(np.ones((2, 3)), np.zeros((2, 0)))]
    adapter = fitted(samples)
    packed = adapter.batch_tokenize(samples)
    assert packed.split()[2].edges.values.shape == (0, 2)
    assert come_back(samples)[2].edges.shape == (2, 0)


def test_the_reverse_of_an_edge_may_be_added():
    sample = Graph.of(np.eye(3), np.array([[0, 1, 2], [1, 0, 1]]), np.array([1.0, 2.0, 3.0]))
    adapter = fitted([sample], undirected=True, edge_features="keep")
    found = adapter.tokenize(sample).edges
    assert found.pairs.T.tolist() == [[0, 1], [1, 0], [2, 1], [1, 2]]
    assert found.values[:, 0].tolist() == [1, 2, 3, 3]
    assert adapter.tokenize(adapter.untokenize(adapter.tokenize(sample))).edges.pairs.shape[1] == 4


def test_tokenizing_does_not_touch_the_graph():
    x = np.ones((4, 2), dtype=np.float32)
    x.flags.writeable = False
    sample = Graph.of(x, RING)
    before = sample.x.clone()
    adapter = fitted([sample], features="keep")
    adapter.tokenize(sample).values.add_(1.0)
    assert torch.equal(sample.x, before)


# Batches


@pytest.mark.parametrize(
    "options", [{}, {"attention": "full"}, {"encoding": "laplacian", "encoding_dim": 3},
                {"features": "degree"}], ids=str,
)  # fmt: skip
@given(st.lists(st.integers(0, 50), min_size=1, max_size=5))
def test_a_batch_equals_its_samples(options, seeds):
    everything = graphs(6, edge_numbers=1)
    adapter = fitted(everything, **options)
    samples = [everything[seed % 6] for seed in seeds]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    for name in ("values", "coords", "offsets"):
        assert torch.equal(getattr(packed, name), getattr(wanted, name)), name
    for found, own in zip(packed.edges, wanted.edges, strict=True):
        assert torch.equal(found, own)


def test_number_types_may_differ_within_a_batch():
    samples = [Graph.of(np.ones((2, 1), dtype=t), PAIR) for t in ("float32", "int32", "float64")]
    packed = fitted(samples, features="keep").batch_tokenize(samples)
    assert packed.values.dtype == torch.float32
    assert packed.values.eq(1).all()


# Encodings


def dense_walks(sample: Graph, dim: int) -> np.ndarray:
    joined = np.zeros((sample.nodes, sample.nodes))
    np.add.at(joined, tuple(sample.edges.numpy()), 1)
    step = joined / joined.sum(1, keepdims=True).clip(1)
    return np.stack([np.diag(np.linalg.matrix_power(step, t + 1)) for t in range(dim)], 1)


@given(st.integers(0, 100), st.integers(1, 6))
def test_walks_are_the_diagonals_of_powers(seed, dim):
    nodes = 2 + seed % 7
    sample = Graph.of(None, np.random.default_rng(seed).integers(0, nodes, (2, 9)), nodes=nodes)
    close(encoded(sample, "rwse", dim), dense_walks(sample, dim))


def test_walks_are_the_same_in_pieces(monkeypatch):
    sample = graphs(1, seed=3)[0]
    whole = encoded(sample, "rwse", 5)
    monkeypatch.setattr("anymae.modalities.graph.encodings._CHUNK", 1)
    close(encoded(graphs(1, seed=3)[0], "rwse", 5), whole)


def test_a_node_without_edges_has_walks_of_zero():
    sample = Graph.of(np.ones((3, 1)), PAIR)
    assert encoded(sample, "rwse", 2).tolist() == [[0, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_eigenvectors_are_those_of_the_laplacian(seed):
    sample = graphs(1, seed=seed)[0]
    joined = np.zeros((sample.nodes, sample.nodes))
    joined[tuple(sample.edges.numpy())] = 1
    scale = joined.sum(1) ** -0.5
    laplacian = np.eye(sample.nodes) - scale[:, None] * joined * scale
    smallest = np.linalg.eigvalsh(laplacian)[1:3]
    found = encoded(sample, "laplacian", 2).numpy().astype(np.float64)
    close(laplacian @ found, found * smallest)
    close((found**2).mean(0), [1, 1])
    largest = np.abs(found).argmax(0)
    assert (found[largest, [0, 1]] > 0).all()


def test_eigenvectors_that_are_not_there_are_zeros():
    found = encoded(Graph.of(np.ones((2, 1)), PAIR), "laplacian", 4)
    assert found[:, 1:].eq(0).all()
    assert found[:, 0].ne(0).all()


@pytest.mark.parametrize(("kind", "limit"), [
    ("rwse", "MOST_WALK_STEPS"), ("laplacian", "MOST_EIGENVECTOR_NODES"),
])  # fmt: skip
def test_a_graph_too_large_to_encode_is_refused(kind, limit, monkeypatch):
    monkeypatch.setattr(f"anymae.modalities.graph.encodings.{limit}", 1)
    with pytest.raises(BadInput, match=f"too large for encoding={kind}"):
        encoded(graphs(1)[0], kind, 4)


def test_attention_among_all_nodes_takes_a_position():
    sample = graphs(1)[0]
    along, among = fitted([sample]), fitted([sample], attention="full", encoding_dim=5)
    assert (along.coord_dim, along.numbers("mae")["position"]) == (1, "none")
    assert (among.coord_dim, among.numbers("mae")["position"]) == (5, "mlp")
    assert along.numbers("mae")["encoder.layout"] == "edges"
    assert among.numbers("mae")["encoder.layout"] == "full"
    assert along.tokenize(sample).coords.eq(0).all()
    close(among.tokenize(sample).coords, dense_walks(sample, 5))


# Augmentation


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_edges_are_left_out_in_both_directions():
    draw = np.random.default_rng(0)
    one_way = np.unique(np.sort(draw.integers(0, 40, (2, 400)), 0), axis=1)
    one_way = one_way[:, one_way[0] != one_way[1]]
    edges = np.concatenate([one_way, one_way[::-1]], 1)
    sample = Graph.of(np.ones((40, 1)), edges, np.arange(edges.shape[1]) % one_way.shape[1])
    adapter = fitted([sample], drop_edges=0.4, edge_features="keep", encoding="rwse")
    found = adapter.augment(sample, drawn(0))
    kept = {(a, b): v for (a, b), v in zip(
        found.edges.T.tolist(), found.edge_values[:, 0].tolist(), strict=True)}  # fmt: skip
    assert 0.5 < len(kept) / edges.shape[1] < 0.7
    assert all(kept.get((b, a)) == value for (a, b), value in kept.items())
    assert torch.equal(found.in_degrees, sample.in_degrees)
    close(adapter.tokenize(found).coords, dense_walks(sample, 16))


def test_augmentation_is_a_function_of_its_generator():
    sample = graphs(1, seed=2)[0]
    adapter = fitted([sample], drop_edges=0.5)
    before = torch.get_rng_state()
    found = [adapter.augment(sample, drawn(seed)).edges.tolist() for seed in (3, 3, 4, 5)]
    assert found[0] == found[1]
    assert any(other != found[0] for other in found[2:])
    assert torch.equal(torch.get_rng_state(), before)
    assert fitted([sample]).augment(sample, drawn(0)) is sample


# What is refused


@pytest.mark.parametrize(("arguments", "said"), [
    ((np.ones((3, 1)), [[0, 1], [1, 3]]), "edge 1: an edge names a node that is not there"),
    ((np.ones((3, 1)), [[0, -1], [1, 2]]), "found -1 to 2; expected nodes 0 to 2"),
    ((np.ones((3, 1)), [[0, 1], [1, 2], [2, 0]]), "Pass edges.T"),
    ((np.ones((3, 1)), [[0.0, 1.0], [1.0, 2.0]]), "edges must be integers"),
    ((np.ones((0, 1)), np.zeros((2, 0))), "without nodes"),
    ((None, np.zeros((2, 0))), "found 0 nodes"),
    ((np.ones((2, 0)), PAIR), "node features: must be a matrix"),
    ((np.ones((2, 3, 1)), PAIR), "found shape \\(2, 3, 1\\)"),
    ((np.array([["a"], ["b"]]), PAIR), "node features: must be real numbers"),
    ((np.array([[1.0], [np.inf]]), PAIR), "node features, node 1, column 0: must be finite"),
    ((np.ones((2, 1)), PAIR, np.ones(3)), "3 values for 2 edges"),
    ((np.ones((2, 1)), PAIR, [1.0, np.nan]), "edge values, edge 1, column 0: must be finite"),
], ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_a_bad_graph_is_refused(arguments, said):
    with pytest.raises(BadInput, match=said):
        Graph.of(*arguments)


def test_other_features_than_learned_are_refused():
    adapter = fitted(graphs(2, 3))
    with pytest.raises(BadInput, match=r"number of node features.*found 2; expected 3"):
        adapter.tokenize(graphs(1, 2)[0])
    with pytest.raises(BadInput, match="found 0; expected 3"):
        adapter.tokenize(graphs(1, 0)[0])
    with pytest.raises(BadInput, match=r"number of edge values.*found 0; expected 2"):
        fitted(graphs(2, edge_numbers=2)).tokenize(graphs(1)[0])
    with pytest.raises(BadInput, match="graphs disagree"):
        fitted([*graphs(1, 3), *graphs(1, 2)])
    with pytest.raises(BadInput, match="1 of 2"):
        fitted([*graphs(1, 3), *graphs(1, 0)])
    with pytest.raises(BadInput, match="0 samples"):
        fitted([])


def test_nan_is_refused_where_none_was_seen():
    x = np.array([[1.0, 2.0], [3.0, np.nan]])
    adapter = fitted([Graph.of(np.nan_to_num(x, nan=4.0), PAIR)])
    with pytest.raises(BadInput, match=r"node 1, column 1.*missing=true"):
        adapter.tokenize(Graph.of(x, PAIR))
    allowed = fitted([Graph.of(np.nan_to_num(x, nan=4.0), PAIR)], missing=True)
    assert not allowed.tokenize(Graph.of(x, PAIR)).side[OBSERVED][1, 1]


def test_an_adapter_that_has_seen_nothing_says_so():
    with pytest.raises(BadConfig, match="fit"):
        GraphAdapter().tokenize(graphs(1)[0])


def test_what_was_learned_survives_json():
    for samples in (graphs(3, edge_numbers=2), graphs(3, 0)):
        adapter = fitted(samples, attention="full")
        again = GraphAdapter.model_validate_json(adapter.model_dump_json())
        assert again == adapter
        assert torch.equal(again.tokenize(samples[0]).values, adapter.tokenize(samples[0]).values)


def test_the_raw_features_of_a_graph_are_its_numbers_and_its_shape():
    samples = graphs(3)
    adapter = fitted(samples)
    for sample in samples:
        tokens = adapter.tokenize(sample)
        found = adapter.raw_features(tokens)
        close(found[:3], tokens.values.mean(0))
        assert found[3] == pytest.approx(sample.edges.shape[1] / sample.nodes)
        assert found[-1] == sample.nodes
