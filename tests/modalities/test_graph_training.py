"""Graphs from end to end: pretraining, features, pictures, and that structure is learned."""

import numpy as np
import pytest
import torch

import anymae
from anymae.errors import BadInput
from anymae.modalities.graph.adapter import GraphAdapter
from anymae.modalities.graph.features import Features
from anymae.modalities.graph.graph import Graph
from anymae.modalities.graph.pictures import MOST_NODES, levels, spring_layout
from anymae.modalities.graph.recipes import GRAPHMAE

from .graphs import graphs

SMALL = anymae.EncoderConfig(width=32, depth=2, heads=2, mlp_ratio=2.0, cls=False, layout="edges")


def two_camps(count: int, seed: int = 0) -> list[Graph]:
    """Rings of eight in two halves that hold 1 and 2, or 3 and 4: a neighbour tells much."""
    draw = np.random.default_rng(seed)
    ring = np.arange(8)
    edges = np.stack([ring, (ring + 1) % 8])
    edges = np.concatenate([edges, edges[::-1]], 1)
    return [
        Graph.of(np.where(ring < 4, a, b), edges)
        for a, b in draw.permuted(np.tile([[1, 2]], (count, 1)), axis=1)
        + 2 * draw.integers(0, 2, (count, 1))
    ]


def trained(samples, tmp_path, **more):
    options = {"recipe": "mae", "size": SMALL, "steps": 60, "batch_size": 8, "lr": 3e-3}
    return anymae.pretrain(samples, modality="graph", out=tmp_path / "run", **(options | more))


@pytest.mark.parametrize("recipe", ["mae", "graphmae"])
def test_hidden_nodes_are_told_from_their_neighbours(tmp_path, recipe):
    run = trained(two_camps(64), tmp_path, recipe=recipe, validation=two_camps(16, seed=1))
    assert run.history[-1]["validation_explained_variance"] > 0.35


def test_attention_among_all_nodes_learns_too(tmp_path):
    run = trained(two_camps(64), tmp_path, size="nano", steps=30,
                  modality_options={"attention": "full"})  # fmt: skip
    assert run.model.encoder.config.layout == "full"
    assert run.model.recipe.decoder.kind == "self"
    assert run.history[-1]["loss"] < 0.8 * run.history[0]["loss"]


def test_reconstructions_are_graphs_in_the_data_s_own_numbers(tmp_path):
    samples = two_camps(8)
    model = trained(samples, tmp_path, steps=5).model
    picture = model.reconstruct(samples[:3])
    for sample, original, masked, rebuilt in zip(
        samples, picture.original, picture.masked, picture.reconstruction, strict=False
    ):
        assert original.x.tolist() == sample.x.tolist()
        hidden = masked.x.isnan()[:, 0]
        assert hidden.sum() == 4
        assert torch.equal(rebuilt.x[~hidden], original.x[~hidden])
        assert set(rebuilt.x[:, 0].tolist()) <= {-1, 1, 2, 3, 4}
        assert torch.equal(masked.edges, sample.edges)
    path = tmp_path / "picture.png"
    picture.plot(path)
    assert path.stat().st_size > 5000


def test_features_do_not_depend_on_batches_and_survive_saving(tmp_path):
    samples = graphs(10, edge_numbers=2)
    run = trained(samples, tmp_path, steps=4, modality_options={"encoding": "rwse"})
    features = run.model.embed(samples)
    np.testing.assert_allclose(run.model.embed(samples, batch_size=1), features, atol=1e-5)
    again = anymae.load(run.path)
    np.testing.assert_array_equal(again.embed(samples), features)
    tokens = again.embed(samples, pool=None)
    assert [len(t) for t in tokens] == [g.nodes for g in samples]
    with pytest.raises(BadInput, match=r"sample 0.*number of node features"):
        again.embed(graphs(1, 2, edge_numbers=2))


def test_one_graph_is_a_data_set_of_one_sample(tmp_path):
    graph = graphs(1, seed=4)[0]
    run = trained({"x": graph.x, "edges": graph.edges}, tmp_path, steps=6, batch_size=None)
    assert run.history[-1]["epoch"] == 6
    assert run.model.embed(graph, pool=None)[0].shape == (graph.nodes, 32)


def test_a_large_graph_is_learned_by_neighbourhoods(tmp_path):
    draw = np.random.default_rng(0)
    edges = draw.integers(0, 300, (2, 900))
    graph = Graph.of(draw.normal(size=(300, 4)), edges)
    run = trained(graph, tmp_path, steps=6, modality_options={"fan_outs": [4, 2], "seeds": 32})
    tokens = run.model.embed(graph, pool=None)
    assert len(tokens) == 10
    whole = run.model.adapter.model_copy(update={"fan_outs": None})
    assert whole.tokenize(graph).values.shape == (300, 4)


def test_the_command_line_reads_a_folder(tmp_path, capsys):
    from anymae.cli import main

    folder = tmp_path / "graphs"
    folder.mkdir()
    for i, graph in enumerate(graphs(8)):
        np.savez(folder / f"{i}.npz", x=graph.x, edges=graph.edges)
    arguments = ["pretrain", str(folder), "--modality", "graph", "--size", "nano", "--steps", "2",
                 "--recipe", "graphmae", "--out", str(tmp_path / "run")]  # fmt: skip
    assert not main(arguments)
    assert "graph / graphmae: 8 samples" in "".join(capsys.readouterr())


def test_graphmae_is_data():
    assert GRAPHMAE.corruption.keeps_hidden
    assert (GRAPHMAE.decoder.kind, GRAPHMAE.decoder.depth) == ("edges", 1)
    assert (GRAPHMAE.loss.kind, GRAPHMAE.loss.power, GRAPHMAE.mask.ratio) == ("cosine", 3.0, 0.5)
    assert anymae.recipes()["graphmae"] == GRAPHMAE
    assert "graph" in GRAPHMAE.works_with
    assert "image" not in GRAPHMAE.works_with


# Pictures


def test_a_layout_is_short_along_edges_and_nodes_are_apart():
    graph = graphs(1, seed=6)[0]
    places = spring_layout(graph)
    np.testing.assert_array_equal(places, spring_layout(graph))
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    joined = np.zeros((graph.nodes, graph.nodes), dtype=bool)
    joined[tuple(graph.edges.numpy())] = True
    off = ~np.eye(graph.nodes, dtype=bool)
    assert apart[joined].mean() < apart[off & ~joined].mean()
    assert apart[off].min() > 0.1


def test_colours_say_what_nodes_hold():
    kinds = Features(kind="one-hot", columns=1, codes=((1, 5, 7),))
    found = levels(torch.tensor([[5.0], [1.0], [5.0], [float("nan")]]), kinds)
    assert found[0] == found[2] != found[1]
    assert np.isnan(found[3])
    numbers = Features(kind="standardise", columns=1, mean=(10.0,), std=(2.0,))
    rising = levels(torch.tensor([[6.0], [10.0], [14.0]]), numbers)
    assert rising[1] == 0.5
    assert (np.diff(rising) > 0.3).all()


def test_large_graphs_are_drawn_in_part(tmp_path):
    from matplotlib.figure import Figure

    draw = np.random.default_rng(0)
    graph = Graph.of(draw.normal(size=(500, 2)), draw.integers(0, 500, (2, 2000)))
    adapter = GraphAdapter().fit([graph])
    axes = Figure().subplots()
    adapter.draw(axes, graph)
    assert len(axes.collections[0].get_offsets()) == MOST_NODES
