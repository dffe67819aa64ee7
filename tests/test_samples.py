"""Questions about seen tokens, all tokens and whole samples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import anymae
from anymae.corruption import Drop, MaskToken, Replace
from anymae.decoders import LinearDecoder, PoolDecoder, SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import ContrastiveLoss, CrossEntropyLoss, SquaredLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Assignments, Content, PooledFeatures
from anymae.teachers import EmaTeacher, NoTeacher
from anymae.training.baselines import trivial

from .toys import ENCODER, Toy, batch, shaken, shapes
from .training.small import curve, cut_short, pretrain, weights

RAGGED = [(3, 4), (2, 3), (1, 1), (4, 4)]
ABOUT_SAMPLES = {
    "mask": Mask(asked="sample"), "decoder": PoolDecoder(), "target": PooledFeatures(),
    "teacher": EmaTeacher(),
}  # fmt: skip
MSN = anymae.recipes()["msn"]


def recipe(**slots) -> Recipe:
    return Recipe(name="x", paper="p", year=2020, summary="s", **slots)


def taught(encoder: EncoderConfig = ENCODER, **slots) -> Model:
    """A student that has moved away from its teacher."""
    net = shaken(Model(Toy(), recipe(**slots), encoder))
    net.teacher = net.recipe.teacher.build(net)
    return shaken(net).train()


# Who is asked


@given(shapes, st.sampled_from(["seen", "all", "sample"]))
def test_who_is_asked_changes_nothing_else(shapes, asked):
    packed = batch(shapes)
    plain, roles = Mask().draw(packed), Mask(asked=asked).draw(packed)
    assert torch.equal(roles.see, plain.see)
    assert torch.equal(roles.hide, plain.hide)
    wanted = {
        "seen": plain.see,
        "all": torch.arange(packed.segments.total),
        "sample": packed.offsets[:-1],
    }
    assert torch.equal(roles.ask, wanted[asked])
    count = {"seen": plain.of_see.lengths, "all": packed.segments.lengths}
    assert torch.equal(roles.of_ask.lengths, count.get(asked, torch.ones(len(packed)).long()))


def test_a_fraction_of_what_is_not_hidden_is_refused():
    with pytest.raises(ValidationError, match="asked=seen it must be 1"):
        Mask(asked="seen", ask=0.5)


@pytest.mark.parametrize(
    "slots", [{"corruption": Replace(by="zeros"), "asked": "all"},
              {"corruption": MaskToken(), "asked": "all"}, {"asked": "seen"}],
)  # fmt: skip
def test_a_linear_decoder_answers_for_every_asked_row(slots):
    asked = slots.pop("asked")
    net = taught(mask=Mask(asked=asked), decoder=LinearDecoder(), **slots)
    packed = batch(RAGGED)
    roles = net.recipe.mask.draw(packed)
    latents, entered = net._encode_masked(packed, roles)
    rows = {int(token): row for row, token in enumerate(entered.index)}
    wanted = net.head(latents.tokens()[[rows[int(i)] for i in roles.ask]], None)
    output = net(packed, roles)
    torch.testing.assert_close(output.prediction, wanted)
    assert output.count == len(roles.ask)
    torch.testing.assert_close(output.target, packed.values[roles.ask])


def test_a_linear_decoder_without_hidden_rows_may_answer_for_the_seen_alone():
    recipe(mask=Mask(asked="seen"), decoder=LinearDecoder(), corruption=Drop()).check(Toy())
    with pytest.raises(IncompatibleRecipe, match="reads hidden tokens"):
        recipe(mask=Mask(asked="all"), decoder=LinearDecoder()).check(Toy())


# Answers and targets of samples


@pytest.mark.parametrize("pool", ["mean", "max", "cls"])
def test_the_answer_is_a_network_of_the_pooled_seen(pool):
    net, packed = taught(**ABOUT_SAMPLES | {"decoder": PoolDecoder(pool=pool)}), batch(RAGGED)
    roles = net.recipe.mask.draw(packed)
    output = net(packed, roles)
    assert output.prediction.shape == (4, ENCODER.width)
    for b in range(4):
        see = roles.see[roles.of_see.offsets[b] : roles.of_see.offsets[b + 1]] - packed.offsets[b]
        one = packed.slice(b, b + 1)
        x = net.embedding(one)[see] + net.position(one.coords)[see]
        made = net.encoder(x, type(packed.segments).of_lengths([len(see)]), one.coords[see]).x
        row = {"mean": made[1:].mean(0), "max": made[1:].amax(0), "cls": made[0]}[pool]
        wanted = net.head(net.decoder.layers(row[None]), None)
        torch.testing.assert_close(output.prediction[b : b + 1], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "max", "cls"])
def test_the_target_is_the_teachers_view_of_the_whole(pool):
    net, packed = taught(**ABOUT_SAMPLES | {"target": PooledFeatures(pool=pool)}), batch(RAGGED)
    output = net(packed, net.recipe.mask.draw(packed))
    for b in range(4):
        x = net.teacher(packed.slice(b, b + 1)).x
        wanted = {"mean": x[1:].mean(0), "max": x[1:].amax(0), "cls": x[0]}[pool]
        torch.testing.assert_close(output.target[b], wanted, rtol=1e-4, atol=1e-5)
    assert not output.target.requires_grad


def test_all_tokens_of_a_sample_have_its_target():
    net, packed = taught(**ABOUT_SAMPLES), batch(RAGGED)
    scene = net.scene(packed, Mask(asked="all").draw(packed))
    every = net.recipe.target.of(net.adapter, packed, scene)
    one = net(packed, net.recipe.mask.draw(packed)).target
    torch.testing.assert_close(every, one[packed.segments.ids("cpu")])


def test_a_goal_about_samples_stands_beside_one_about_tokens():
    goal = Goal(decoder=PoolDecoder(), target=PooledFeatures(), scope="sample", weight=0.5)
    net, packed = taught(also=(goal,)), batch(RAGGED)
    output = net(packed, net.recipe.mask.draw(packed))
    alone = taught(**ABOUT_SAMPLES | {"teacher": NoTeacher()})
    assert (output.also[0].count, output.also[0].weight) == (4, 0.5)
    assert alone(packed, alone.recipe.mask.draw(packed)).count == 4


@pytest.mark.parametrize(
    "slots",
    [
        {"decoder": PoolDecoder()},
        {"target": PooledFeatures()},
        {"mask": Mask(asked="sample")},
        {"mask": Mask(asked="sample"), "decoder": PoolDecoder()},
        {"mask": Mask(asked="sample"), "target": PooledFeatures(), "decoder": SelfDecoder()},
        {"also": (Goal(decoder=PoolDecoder(), target=PooledFeatures()),)},
        {"also": (Goal(decoder=PoolDecoder(), target=Content(), scope="sample"),)},
        {"also": (Goal(decoder=SelfDecoder(), target=PooledFeatures(), scope="sample"),)},
    ],
)
def test_questions_answers_and_targets_must_be_about_the_same(slots):
    with pytest.raises(IncompatibleRecipe, match="needs a decoder and a target of"):
        recipe(**slots).check(Toy())


def test_a_pool_of_class_tokens_needs_one():
    with pytest.raises(BadConfig, match="no class token"):
        taught(
            EncoderConfig(width=16, depth=2, heads=2, cls=False),
            **ABOUT_SAMPLES | {"decoder": PoolDecoder(pool="cls")},
        )


def test_the_trivial_prediction_is_the_mean_of_other_samples():
    net, packed = taught(**ABOUT_SAMPLES | {"loss": SquaredLoss()}), batch([(2, 2)] * 5)
    found = trivial(net, [packed])
    target = net(packed, net.recipe.mask.draw(packed)).target.double().numpy()
    everyone = target.mean(0)
    guesses = (everyone + target.sum(0) - target) / 5
    assert found.best == pytest.approx(np.square(guesses - target).mean(1).mean(), rel=1e-4)
    assert found.context_mean == found.position_mean


# MSN


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


def test_msn_is_cross_entropy_and_an_even_mean():
    target = Assignments(codes=7, hidden=12, bottleneck=5, sharpness=0.025, pool="mean", entropy=2)
    slots = {"mask": MSN.mask, "decoder": MSN.decoder, "loss": MSN.loss, "teacher": MSN.teacher}
    net, packed = taught(target=target, **slots), batch(RAGGED)
    net.target_state.mean.copy_(torch.linspace(-0.2, 0.2, 7))
    output = net(packed, net.recipe.mask.draw(packed))
    head = net.teacher.head
    pooled = [net.teacher(packed.slice(b, b + 1)).tokens().mean(0) for b in range(4)]
    said = head(torch.stack(pooled), None).double().numpy()
    wanted = softmax((said - net.target_state.mean.double().numpy()) / 0.025)
    np.testing.assert_allclose(output.target, wanted, atol=2e-3)
    choices = softmax(output.prediction.detach().double().numpy() / 0.1)
    mean = choices.mean(0)
    uneven = math.log(7) + (mean * np.log(mean)).sum()
    assert uneven > 1e-3
    cross = -(wanted * np.log(choices)).sum()
    assert output.loss.item() == pytest.approx(cross + 4 * 2 * uneven, rel=1e-3)
    torch.testing.assert_close(
        output.observed[0][:-1], torch.from_numpy(said.sum(0)).float(), rtol=1e-3, atol=1e-4
    )


def test_the_gradient_of_evenness_is_that_of_the_mean_choice():
    target = Assignments(codes=5, pool="mean", entropy=1.0)
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    even = torch.full((6, 5), 0.2)
    args = (Toy(), CrossEntropyLoss())
    target.score(*args, logits, even, batch([(1, 6)])).sum().backward()
    found, logits.grad = logits.grad, None
    mean = (logits / 0.1).softmax(1).mean(0)
    loss = CrossEntropyLoss().per_token(logits / 0.1, even).sum()
    (loss + 6 * (math.log(5) + (mean * mean.log()).sum())).backward()
    torch.testing.assert_close(found, logits.grad, rtol=1e-4, atol=1e-6)


def test_a_run_cut_short_goes_on_as_if_it_was_not(tmp_path, monkeypatch):
    settings = {"recipe": "msn", "teacher.start": 0.9}
    whole = pretrain(tmp_path / "a", **settings)
    cut_short(monkeypatch, 7, lambda: pretrain(tmp_path / "b", **settings))
    again = pretrain(tmp_path / "b", **settings)
    assert curve(again) == curve(whole)
    assert weights(again) == weights(whole)


def test_what_saint_and_scarf_ask():
    saint, scarf = anymae.recipes()["saint"], anymae.recipes()["scarf"]
    assert (saint.mask.asked, saint.also[0].scope) == ("all", "sample")
    assert (saint.mask.ratio, scarf.mask.ratio) == (0.1, 0.6)
    assert saint.corruption == scarf.corruption == Replace(by="place")
    assert isinstance(scarf.loss, ContrastiveLoss)
    assert scarf.mask.budget == RatioBudget(ratio=0.6)
    assert MSN.mask.ratio == 0.15
