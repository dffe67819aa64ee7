"""Several masks of one sample in one step: what differs, what is shared, what a step computes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae.encoder import EncoderConfig
from anymae.goals import Goal
from anymae.losses import SmoothLoss
from anymae.masks import Mask
from anymae.masks.watched import AttentionPriority
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Content, Features
from anymae.teachers import EmaTeacher
from anymae.tokens import Edges
from anymae.views import in_views, one_of_each

from .toys import ENCODER, Toy, batch, shaken, shapes
from .training.small import curve, cut_short, digits, pretrain, weights

GOALS = (
    Goal(target=Features(shown="seen"), loss=SmoothLoss(), scope="seen", weight=0.5),
    Goal(decoder="self", target=Features(layers=2), scope="asked"),
    Goal(decoder="self", target=Content(), scope="all", weight=2.0),
)


def taught(**slots) -> Model:
    made = Recipe(
        name="x", paper="p", year=2020, summary="s", teacher=EmaTeacher(), also=GOALS, **slots
    )
    net = shaken(Model(Toy(), made, ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    for parameter in net.teacher.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return net.train()


# What views are


@given(shapes, st.integers(2, 4))
def test_views_hold_the_same_under_keys_of_their_own(shapes, views):
    packed = batch(shapes)
    many = in_views(packed, views)
    assert (len(many), many.views) == (views * len(packed), views)
    assert torch.equal(many.values, packed.values.repeat(views, 1))
    assert torch.equal(many.coords, packed.coords.repeat(views, 1))
    assert torch.equal(many.segments.lengths, packed.segments.lengths.repeat(views))
    assert len(many.keys.unique()) == len(many)
    assert torch.equal(many.keys[: len(packed)], packed.keys)
    assert torch.equal(one_of_each(many).values, packed.values)
    assert in_views(packed, 1) is packed


def test_a_views_key_follows_its_sample_alone():
    packed = batch([(2, 3), (1, 4), (3, 3)])
    many, alone = in_views(packed, 3), in_views(packed.slice(1, 2), 3)
    assert torch.equal(many.keys.view(3, 3)[:, 1], alone.keys)
    assert torch.equal(in_views(packed, 4).keys[:9], many.keys)


def test_edges_stay_inside_their_view():
    packed = replace(
        batch([(1, 2), (1, 3)]), edges=Edges(torch.tensor([[0, 3], [1, 4]]), torch.ones(2, 1))
    )
    edges = in_views(packed, 2).edges
    assert edges.pairs.tolist() == [[0, 3, 5, 8], [1, 4, 6, 9]]
    assert edges.values.shape == (4, 1)


def test_masks_of_views_differ():
    packed = batch([(6, 6)] * 8)
    see = Mask().draw(in_views(packed, 4)).see.view(4, 8, -1)
    places = see % 36
    assert torch.equal(see[0], Mask().draw(packed).see.view(8, -1))
    for first in range(4):
        for second in range(first):
            assert not (places[first] == places[second]).all(1).any()


def test_selected_tokens_are_no_views_any_more():
    packed = in_views(batch([(3, 3)]), 2)
    roles = Mask().draw(packed)
    assert packed.select(roles.see, roles.of_see).views == 1


# What they share


@pytest.fixture
def looked(monkeypatch):
    """Tokens that a teacher was shown, call by call."""
    from anymae import teachers

    calls, original = [], teachers.TeacherNet.forward

    def forward(self, packed, taps=()):
        calls.append(packed.segments.total)
        return original(self, packed, taps)

    monkeypatch.setattr(teachers.TeacherNet, "forward", forward)
    return calls


def test_a_teacher_looks_at_a_whole_sample_once(looked):
    net = taught(target=Features(layers=2))
    packed = in_views(batch([(4, 4), (3, 3)]), 5)
    roles = net.recipe.mask.draw(packed, net)
    net(packed, roles)
    whole, seen = 16 + 9, roles.of_see.total
    assert sorted(looked) == sorted([whole, seen])


@pytest.mark.parametrize("views", [1, 3])
def test_attention_is_looked_up_once(views, monkeypatch):
    from anymae import method

    calls, original = [], method.encode

    def encode(net, packed, taps=()):
        calls.append(packed.segments.total)
        return original(net, packed, taps)

    monkeypatch.setattr(method, "encode", encode)
    packed = batch([(4, 4), (3, 3)])
    net = taught(mask=Mask(priority=AttentionPriority()))
    share = net.attention(in_views(packed, views))
    assert calls == [25]
    assert torch.equal(share.view(views, -1), net.attention(packed).expand(views, -1))


# What a step computes


@pytest.mark.parametrize("target", [Content(), Features(), Features(shown="asked", layers=2)])
def test_the_loss_is_the_mean_over_views_taken_one_by_one(target):
    net = taught(target=target)
    packed = batch([(4, 4), (3, 5), (2, 2)])
    many = in_views(packed, 3)
    together = net(many, net.recipe.mask.draw(many, net))
    apart = []
    for keys in many.keys.view(3, 3):
        one = packed.with_keys(keys)
        apart.append(net(one, net.recipe.mask.draw(one, net)))
    assert together.count == sum(one.count for one in apart)
    torch.testing.assert_close(
        together.loss / together.count, sum(one.loss / one.count for one in apart) / 3
    )
    assert len(together.also) == len(GOALS)
    for term, *terms in zip(together.also, *(one.also for one in apart), strict=True):
        assert term.count == sum(one.count for one in terms)
        torch.testing.assert_close(
            term.sum / term.count, sum(one.sum / one.count for one in terms) / 3
        )


# Whole runs


SMALL = EncoderConfig(width=16, depth=2, heads=2, drop_path=0.2)


def run(out, name="data2vec2", **options):
    return pretrain(out, recipe=name, size=SMALL, steps=6, views=3, **options)


def test_parts_of_a_step_add_up_to_it(tmp_path):
    whole = run(tmp_path / "a")
    parts = run(tmp_path / "b", **{"training.micro_tokens": 60})
    for one, other in zip(curve(whole), curve(parts), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_micro_batches_count_the_tokens_of_all_views(tmp_path, monkeypatch):
    sizes, original = [], Model.forward

    def forward(self, packed, roles):
        sizes.append(packed.segments.total)
        return original(self, packed, roles)

    monkeypatch.setattr(Model, "forward", forward)
    settings = {"training.micro_tokens": 200, "validation": None, "modality_options": OPTIONS}
    run(tmp_path / "a", "mae", **settings)
    assert max(sizes) == 192  # 4 samples of 16 tokens in 3 views
    assert sum(sizes) == 6 * 16 * 16 * 3


OPTIONS = {"patch_size": 2, "crop_scale": None}


def test_speed_counts_samples(tmp_path):
    rows = run(tmp_path / "a", "mae", validation=None, modality_options=OPTIONS).history
    for row in rows:
        assert row["tokens_per_second"] == pytest.approx(16 * row["samples_per_second"])


def test_a_run_of_several_views_resumes_bit_for_bit(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    cut_short(monkeypatch, 4, lambda: run(tmp_path / "cut"))
    resumed = run(tmp_path / "cut")
    assert weights(resumed) == weights(whole)
    assert curve(resumed) == curve(whole)


def test_one_view_is_a_run_without_views(tmp_path):
    def mae(name, **options):
        return weights(pretrain(tmp_path / name, size=SMALL, steps=2, **options))

    assert mae("plain") == mae("one", views=1) != mae("two", views=2)


def test_views_are_at_least_one():
    with pytest.raises(anymae.BadConfig, match="views"):
        anymae.pretrain(digits(), "image", "mae", SMALL, views=0)
