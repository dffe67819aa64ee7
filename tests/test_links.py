"""Hidden edges: who sees them, which pairs are asked, against loops over nodes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae.corruption import HideEdges
from anymae.decoders import EdgeDecoder, LinearDecoder
from anymae.errors import IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import BinaryLoss
from anymae.masks import Mask
from anymae.model import Model
from anymae.positions import NoPosition, SinCosPosition
from anymae.recipe import Recipe
from anymae.targets import Links
from anymae.tokens import Packed
from anymae.training.baselines import trivial

from .test_edge_decoder import ALONG, Nodes, graph
from .toys import keys, shaken
from .training.small import cut_short, weights

TARGET = Links(pairs=3, numbers=5)


def recipe(**slots) -> Recipe:
    slots = {
        "position": NoPosition(), "mask": Mask(asked="all"), "corruption": HideEdges(ratio=0.5),
        "decoder": LinearDecoder(), "target": TARGET, "loss": BinaryLoss(), **slots,
    }  # fmt: skip
    return Recipe(name="x", paper="p", year=2022, summary="s", **slots)


def built(**slots) -> Model:
    return shaken(Model(Nodes(), recipe(**slots), ALONG))


def random_graphs(count: int, nodes: int, share: float, seed: int = 0) -> Packed:
    """Undirected graphs, both directions listed, of ``nodes`` and fewer nodes."""
    draw = np.random.default_rng(seed)
    graphs = []
    for i in range(count):
        n = nodes - i % 3
        pairs = [(a, b) for a in range(n) for b in range(a) if draw.random() < share]
        graphs.append(graph(n, [*pairs, *((b, a) for a, b in pairs)], seed=i))
    return Packed.of(graphs).with_keys(keys(count, seed))


def linked(packed: Packed, hidden: torch.Tensor | None = None) -> set[tuple[int, int]]:
    pairs = packed.edges.pairs if hidden is None else packed.edges.pairs[:, hidden]
    return {(int(a), int(b)) for a, b in pairs.T}


# Who sees what


@given(st.integers(0, 20))
def test_edges_are_hidden_in_both_directions_sample_by_sample(seed):
    packed, part = random_graphs(3, 7, 0.5, seed), HideEdges(ratio=0.5)
    hidden = linked(packed, part.hidden_edges(packed))
    assert hidden == {(b, a) for a, b in hidden}
    for b in range(3):
        alone = packed.slice(b, b + 1)
        start, stop = int(packed.offsets[b]), int(packed.offsets[b + 1])
        mine = {(x - start, y - start) for x, y in hidden if start <= x < stop}
        assert mine == linked(alone, part.hidden_edges(alone))


def test_about_a_share_of_the_edges_is_hidden():
    packed = random_graphs(60, 12, 0.6)
    share = HideEdges(ratio=0.7).hidden_edges(packed).float().mean()
    count = packed.edges.pairs.shape[1] / 2
    assert abs(float(share) - 0.7) < 5 * (0.21 / count) ** 0.5
    assert HideEdges(ratio=0.0).hidden_edges(packed) is None


@pytest.mark.parametrize("decoder", [LinearDecoder(), EdgeDecoder(depth=1)], ids=lambda d: d.kind)
def test_hidden_edges_are_as_if_they_were_not_there(decoder):
    """Nodes enter as they are; removing the hidden edges from the data changes nothing."""
    net, packed = built(decoder=decoder), random_graphs(3, 8, 0.5)
    hidden = net.recipe.corruption.hidden_edges(packed)
    roles = net.recipe.mask.draw(packed)
    found = net(packed, roles).prediction
    other = built(decoder=decoder, corruption=HideEdges(ratio=0.0))
    other.load_state_dict(net.state_dict())
    gone = replace(packed, edges=packed.edges.at(~hidden))
    torch.testing.assert_close(found, other(gone, roles).prediction)
    assert not torch.allclose(found, other(packed, roles).prediction)


# Which pairs are asked


@given(st.integers(0, 30), st.sampled_from([0.0, 0.5]))
def test_pairs_are_hidden_edges_and_no_edges(seed, ratio):
    net, packed = built(corruption=HideEdges(ratio=ratio)), random_graphs(3, 7, 0.4, seed)
    hidden = net.recipe.corruption.hidden_edges(packed)
    target = net(packed, net.recipe.mask.draw(packed)).target
    every, some = linked(packed), linked(packed, hidden)
    owner = packed.segments.ids("cpu")
    for i, row in enumerate(target.long().tolist()):
        near, far = row[:3], row[3:]
        begins = {b for a, b in some if a == i}
        assert (min(near) == max(near) == -1) == (not begins)
        if not begins:
            assert far == [-1] * 3
            continue
        assert set(near) <= begins
        for j in (j for j in far if j != -1):
            assert owner[j] == owner[i]
            assert j != i
            assert (i, j) not in every


def test_every_hidden_neighbour_and_every_stranger_comes_up_equally_often():
    star = graph(9, [(0, b) for b in range(1, 5)] + [(b, 0) for b in range(1, 5)])
    packed = Packed.of([star] * 800).with_keys(keys(800))
    net = built(corruption=HideEdges(ratio=0.0))
    target = net(packed, net.recipe.mask.draw(packed)).target.long().view(800, 9, 6)[:, 0]
    near = torch.bincount(target[:, :3].flatten() % 9, minlength=9) / 2400
    strangers = target[:, 3:][target[:, 3:] >= 0]
    assert len(strangers) > 0.85 * 2400
    far = torch.bincount(strangers % 9, minlength=9) / len(strangers)
    assert near[[0, 5, 6, 7, 8]].sum() == far[:5].sum() == 0
    assert float((near[1:5] - 0.25).abs().max()) < 5 * (0.19 / 2400) ** 0.5
    assert float((far[5:] - 0.25).abs().max()) < 5 * (0.19 / len(strangers)) ** 0.5


def test_a_node_that_knows_everybody_has_no_strangers():
    whole = graph(4, [(a, b) for a in range(4) for b in range(4) if a != b])
    packed = Packed.of([whole]).with_keys(keys(1))
    net = built(corruption=HideEdges(ratio=0.0))
    target = net(packed, net.recipe.mask.draw(packed)).target
    assert (target[:, :3] >= 0).all()
    assert (target[:, 3:] == -1).all()


# The loss


def test_the_loss_is_binary_cross_entropy_of_products():
    net, packed = built(), random_graphs(3, 8, 0.4)
    output = net(packed, net.recipe.mask.draw(packed))
    said, total = output.prediction.detach().double().numpy(), 0.0
    assert output.count == packed.segments.total
    for i, row in enumerate(output.target.long().tolist()):
        each = []
        for k, j in enumerate(row):
            if j >= 0:
                chance = 1 / (1 + math.exp(-(said[i] @ said[j]) / 5**0.5))
                each.append(-math.log(chance if k < 3 else 1 - chance))
        total += sum(each) / max(len(each), 1)
    assert output.loss.item() == pytest.approx(total, rel=1e-5)


def test_the_trivial_guess_is_a_coin():
    net, packed = built(), random_graphs(4, 8, 0.4)
    scored = (net(packed, net.recipe.mask.draw(packed)).target[:, 0] >= 0).float().mean()
    assert trivial(net, [packed]).best == pytest.approx(float(scored) * math.log(2), rel=1e-5)


def test_graphs_without_edges_are_not_scored():
    packed = Packed.of([graph(3, []), graph(1, [])]).with_keys(keys(2))
    output = built().train()(packed, Mask(asked="all").draw(packed))
    assert output.loss == 0
    output.loss.backward()


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        ({"position": SinCosPosition()}, r"needs position=none on toy"),
        ({"mask": Mask()}, "needs all tokens to be asked"),
        ({"also": (Goal(target=Links(), loss=BinaryLoss(), scope="seen"),)}, "needs all tokens"),
    ],
)
def test_what_would_tell_or_leave_out_pairs_is_refused(slots, said):
    with pytest.raises(IncompatibleRecipe, match=said):
        recipe(**slots).check(Nodes())


def test_encodings_of_the_whole_graph_are_refused_through_the_front_door(tmp_path):
    samples = [anymae.modalities()["graph"]().example(i) for i in range(8)]
    with pytest.raises(IncompatibleRecipe, match="needs position=none on graph"):
        anymae.pretrain(
            samples, "graph", "maskgae", "nano", steps=1, out=tmp_path,
            modality_options={"encoding": "rwse"},
        )  # fmt: skip


def test_a_run_cut_short_goes_on_as_if_it_was_not(tmp_path, monkeypatch):
    samples = [anymae.modalities()["graph"]().example(i) for i in range(16)]

    def run(place):
        return anymae.pretrain(
            samples, "graph", "maskgae", anymae.EncoderConfig(width=16, depth=1, heads=2),
            steps=8, batch_size=8, out=tmp_path / place,
            **{"training.workers": 0, "training.log_every": 1, "training.micro_tokens": 40},
        )  # fmt: skip

    whole = run("a")
    cut_short(monkeypatch, 4, lambda: run("b"))
    assert weights(run("b")) == weights(whole)
