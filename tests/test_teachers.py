"""Teachers and further goals: who is looked at, how teachers follow, what is counted."""

import math

import numpy as np
import pytest
import torch

import anymae
from anymae.config import with_overrides
from anymae.encoder import EncoderConfig
from anymae.goals import Goal
from anymae.kernels.segments import Segments
from anymae.losses import SmoothLoss, SquaredLoss
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Content, Features
from anymae.teachers import EmaTeacher, StagedTeacher, StillTeacher

from .toys import ENCODER, Toy, batch, shaken
from .training.small import cut_short


def recipe(**slots) -> Recipe:
    return Recipe(name="x", paper="p", year=2020, summary="s", **slots)


def taught(teacher, **slots) -> Model:
    net = shaken(Model(Toy(), recipe(teacher=teacher, **slots), ENCODER))
    net.teacher = teacher.build(net)
    return net


# How teachers follow


def test_a_teacher_starts_as_its_student_and_has_no_gradient():
    net = taught(EmaTeacher(), target=Features())
    packed = batch([(3, 4), (2, 2)])
    for ours, theirs in zip(net.encode(packed).x, net.teacher(packed).x, strict=True):
        assert torch.equal(ours, theirs)
    net.train()(packed, net.recipe.mask.draw(packed, net)).loss.backward()
    assert not net.teacher.training
    assert all(p.grad is None for p in net.teacher.parameters())
    assert all(p.grad is not None for p in net.encoder.parameters())


@pytest.mark.parametrize("done", [0.0, 0.25, 1.0])
def test_an_average_moves_by_half_a_cosine(done):
    net = taught(EmaTeacher(start=0.9, end=0.98))
    before = {n: p.clone() for n, p in net.teacher.named_parameters()}
    for parameter in net.parameters():
        parameter.data += 1.0 if parameter.requires_grad else 0.0
    net.recipe.teacher.follow(net.teacher, net, done, 0.0)
    keep = 0.98 - 0.08 * (1 + math.cos(math.pi * done)) / 2
    for name, parameter in net.teacher.named_parameters():
        torch.testing.assert_close(parameter, before[name] + (1 - keep), rtol=1e-4, atol=1e-5)


def test_a_still_teacher_stays():
    net = taught(StillTeacher())
    before = [p.clone() for p in net.teacher.parameters()]
    for parameter in net.encoder.parameters():
        parameter.data += 1
    net.recipe.teacher.follow(net.teacher, net, 0.5, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, net.teacher.parameters(), strict=True))


def test_a_stage_hands_over_and_starts_anew():
    net = taught(StagedTeacher(stages=2))
    learned = [p.clone() for p in net.teacher.counterparts(net)]
    teacher = net.recipe.teacher
    teacher.follow(net.teacher, net, 0.49, 0.48)
    assert all(torch.equal(a, b) for a, b in zip(learned, net.teacher.counterparts(net)))  # noqa: B905
    teacher.follow(net.teacher, net, 0.5, 0.49)
    assert all(torch.equal(a, b) for a, b in zip(learned, net.teacher.parameters(), strict=True))
    fresh = dict(Model(Toy(), net.recipe, ENCODER, seed=1).named_parameters())
    mine = {n: p for n, p in net.named_parameters() if not n.startswith("teacher.")}
    assert all(torch.equal(mine[n], fresh[n]) for n in mine)
    teacher.follow(net.teacher, net, 1.0, 0.99)
    assert all(torch.equal(a, b) for a, b in zip(learned, net.teacher.parameters(), strict=True))


# What is looked at


@pytest.mark.parametrize("block", [-1, -2])
def test_features_are_those_of_the_block(block):
    target = Features(block=block, normalise="none")
    net = taught(EmaTeacher(), target=target)
    packed = batch([(3, 4), (2, 3)])
    roles = net.recipe.mask.draw(packed, net)
    found = target.of(Toy(), packed.select(roles.ask, roles.of_ask), net.scene(packed, roles))
    latents = net.teacher(packed, (0, 1))
    assert torch.equal(found, latents.tokens(latents.taps[block])[roles.ask])


@pytest.mark.parametrize("normalise", ["none", "token", "sample", "unit"])
@pytest.mark.parametrize("shown", ["all", "seen", "asked"])
def test_features_are_those_of_the_teacher(normalise, shown):
    target = Features(layers=2, normalise=normalise, shown=shown)
    net = taught(EmaTeacher(), target=target)
    for parameter in net.teacher.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    packed = batch([(3, 4), (2, 3)])
    roles = net.recipe.mask.draw(packed, net)
    rows, of_rows = (roles.see, roles.of_see) if shown == "seen" else (roles.ask, roles.of_ask)
    scene = net.scene(packed, roles).about(rows, of_rows, None)
    found = target.of(Toy(), packed.select(rows, of_rows), scene)
    for b, part in enumerate(found.split(of_rows.lengths.tolist())):
        one = packed.slice(b, b + 1)
        own = rows[of_rows.offsets[b] : of_rows.offsets[b + 1]] - packed.offsets[b]
        if shown != "all":
            one = one.select(own, Segments.of_lengths([len(own)]))
            own = torch.arange(len(own))
        latents = net.teacher(one, (0, 1))
        layers = [latents.tokens(tap) for tap in latents.taps]
        if normalise == "sample":
            layers = [(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in layers]
        layers = [x[own] for x in layers]
        if normalise == "token":
            layers = [torch.nn.functional.layer_norm(x, x.shape[1:]) for x in layers]
        if normalise == "unit":
            layers = [x / x.norm(dim=1, keepdim=True) for x in layers]
        torch.testing.assert_close(part, (layers[0] + layers[1]) / 2, rtol=1e-4, atol=1e-5)


def test_without_a_teacher_the_student_looks_without_gradient():
    net = shaken(Model(Toy(), recipe(target=Features()), ENCODER))
    packed = batch([(3, 4)])
    output = net(packed, net.recipe.mask.draw(packed))
    assert not output.target.requires_grad
    assert output.prediction.requires_grad


# Further goals


GOALS = (
    Goal(target=Features(), loss=SmoothLoss(), scope="seen", weight=0.5),
    Goal(decoder={"kind": "self", "depth": 1}, target=Content(), scope="asked", weight=2.0, tap=0),
)


def test_further_goals_are_asked_about_their_own_tokens():
    net = taught(EmaTeacher(), also=GOALS).train()
    packed = batch([(3, 4), (2, 3)])
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    first, second = output.also
    assert (first.count, first.weight) == (roles.of_see.total, 0.5)
    assert (second.count, second.weight) == (roles.of_ask.total, 2.0)
    visible = packed.select(roles.see, roles.of_see)
    seen = net.encoder(net.embedding(visible) + net.position(visible.coords), roles.of_see)
    wanted = Features().of(
        Toy(), None, net.scene(packed, roles).about(roles.see, roles.of_see, None)
    )
    said = net.also[0].head(seen.tokens(), packed.coords[roles.see])
    torch.testing.assert_close(first.sum, SmoothLoss().per_token(said, wanted).sum())


def test_a_goal_reads_the_block_it_taps():
    net = taught(EmaTeacher(), also=GOALS).train()
    packed = batch([(3, 4)])
    roles = net.recipe.mask.draw(packed, net)
    before = net(packed, roles).also
    net.encoder.blocks[1].mlp[0].weight.data += 1.0
    after = net(packed, roles).also
    assert not torch.equal(before[0].sum, after[0].sum)
    assert torch.equal(before[1].sum, after[1].sum)


def test_a_recipe_of_several_goals_survives_json():
    made = recipe(teacher=EmaTeacher(), also=GOALS, loss=SquaredLoss())
    assert Recipe(**made.model_dump(mode="json")) == made


# Whole runs


IMAGES = np.random.default_rng(0).integers(0, 255, (48, 8, 8), dtype=np.uint8)
SMALL = EncoderConfig(width=16, depth=2, heads=2)


def run(out, method, **options):
    settings = {"steps": 8, "batch_size": 8, "training.workers": 0, **options}
    return anymae.pretrain(IMAGES, "image", method, size=SMALL, out=out, **settings)


@pytest.mark.parametrize("name", ["i-jepa", "dbot", "maskalign", "attmask", "dino-sr", "ibot"])
def test_a_run_with_a_teacher_resumes_bit_for_bit(tmp_path, name, monkeypatch):
    whole = run(tmp_path / "whole", name).model.state_dict()
    cut_short(monkeypatch, 5, lambda: run(tmp_path / "cut", name))
    resumed = run(tmp_path / "cut", name).model.state_dict()
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)
    assert not any(k.startswith("teacher") for k in whole)


def test_the_teacher_is_not_part_of_the_model_that_is_saved(tmp_path):
    made = run(tmp_path / "run", "i-jepa")
    loaded = anymae.load(made.path)
    assert np.array_equal(loaded.embed(IMAGES), made.model.embed(IMAGES))


def test_codes_are_learned_before_training_and_kept(tmp_path):
    made = run(tmp_path / "run", "ccvit", **{"target.codes": 8})
    centres = made.model.target_state.centres
    assert torch.unique(centres, dim=0).shape == (8, made.model.adapter.token_dim)
    loaded = anymae.load(made.path)
    assert torch.equal(loaded.target_state.centres, centres)
    packed = made.model.adapter.batch_tokenize(list(IMAGES[:4])).with_keys(torch.arange(4))
    content = packed.values - packed.values.mean(1, keepdim=True)
    nearest = ((content[:, None] - centres) ** 2).sum(-1).argmin(1)
    roles = made.model.recipe.mask.draw(packed)
    scene = made.model.scene(packed, roles)
    target = made.model.recipe.target.of(
        made.model.adapter, packed.select(roles.ask, roles.of_ask), scene
    )
    assert torch.equal(target.argmax(1), nearest[roles.ask])


def test_overrides_reach_a_teacher():
    changed = with_overrides(anymae.recipes()["i-jepa"], {"teacher.start": 0.5}, "x")
    assert changed.teacher == EmaTeacher(start=0.5)
