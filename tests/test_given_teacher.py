"""A pretrained model as teacher: what it shares with its student, and that it may be gone after."""

import shutil

import numpy as np
import pytest
import torch

import anymae
from anymae import storage
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, CheckpointError, IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import AbsoluteLoss
from anymae.masks import Mask
from anymae.masks.watched import AttentionPriority
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Features
from anymae.teachers import GivenTeacher

from .toys import ENCODER, Toy, batch, shaken
from .training.small import cut_short

WIDER = EncoderConfig(width=24, depth=3, heads=3)
IMAGES = np.random.default_rng(0).integers(0, 255, (48, 8, 8), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _toys_can_be_loaded(monkeypatch):
    monkeypatch.setattr(storage, "modality", lambda name: {"toy": Toy}.get(name) or named(name))


named = storage.modality


@pytest.fixture
def folder(tmp_path):
    """A toy model, wider and deeper than its students."""
    recipe = Recipe(name="x", paper="p", year=2020, summary="s")
    return shaken(Model(Toy(), recipe, WIDER)).save(tmp_path / "teacher")


def student(folder, adapter=None, **slots) -> Model:
    adapter = Toy() if adapter is None else adapter
    teacher = GivenTeacher(path=str(folder)).fitted(adapter)
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", teacher=teacher, **slots)
    net = shaken(Model(adapter, recipe, ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    return net


def test_targets_are_features_of_the_model_that_was_given(folder):
    target = Features(layers=2, block=-2, normalise="none")
    net, packed = student(folder, target=target), batch([(3, 4), (2, 3)])
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    latents = anymae.load(folder).encode(packed, (0, 1))
    wanted = (latents.tokens(latents.taps[0]) + latents.tokens(latents.taps[1]))[roles.ask] / 2
    assert torch.equal(output.target, wanted)
    assert output.prediction.shape == (len(roles.ask), 24)


def test_goals_predict_the_given_models_width(folder):
    also = (Goal(target=Features(shown="seen"), scope="seen", tap=0),)
    net, packed = student(folder, also=also).train(), batch([(3, 4)])
    net(packed, net.recipe.mask.draw(packed, net)).also[0].sum.backward()
    assert net.also[0].head.project.weight.shape == (24, 16)
    assert all(p.grad is None for p in net.teacher.parameters())


def test_unit_vectors_are_compared_with_unit_vectors(folder):
    target = Features(block=-2, normalise="unit")
    net, packed = student(folder, target=target, loss=AbsoluteLoss()), batch([(3, 4), (2, 3)])
    output = net(packed, net.recipe.mask.draw(packed))
    said, true = (
        x / x.square().sum(1, keepdim=True).sqrt() for x in (output.prediction, output.target)
    )
    assert torch.equal(output.target.norm(dim=1).round(decimals=5), torch.ones(len(true)))
    torch.testing.assert_close(output.loss, (said - true).abs().mean(1).sum())


def test_its_class_token_serves_a_student_without(folder):
    mask = Mask(priority=AttentionPriority())
    teacher = GivenTeacher(path=str(folder)).fitted(Toy())
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", teacher=teacher, mask=mask)
    bare = ENCODER.model_copy(update={"cls": False})
    net, packed = Model(Toy(), recipe, bare), batch([(3, 4)])
    net.teacher = teacher.build(net)
    assert torch.equal(net.attention(packed), anymae.load(folder).attention(packed))


# Refusals


def test_without_a_path_it_is_refused():
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", teacher=GivenTeacher())
    with pytest.raises(
        IncompatibleRecipe, match=r"needs a path.*of the toy modality.*teacher\.path"
    ):
        Model(Toy(), recipe, ENCODER)


def test_a_student_is_not_built_before_its_teacher_was_looked_at(folder):
    teacher = GivenTeacher(path=str(folder))
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", teacher=teacher)
    with pytest.raises(BadConfig, match="has not looked"):
        Model(Toy(), recipe, ENCODER)


def test_other_tokens_are_refused_by_name(folder):
    with pytest.raises(IncompatibleRecipe, match=r"another features; found 6; expected 4\..*load"):
        student(folder, Toy(features=4))


def test_another_modality_is_refused_by_name(folder):
    image = anymae.modalities()["image"]()
    with pytest.raises(IncompatibleRecipe, match="another modality; found toy; expected image"):
        GivenTeacher(path=str(folder)).fitted(image)


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no model here"):
        GivenTeacher(path=str(tmp_path / "nowhere")).fitted(Toy())


def test_more_layers_than_it_has_are_refused(folder):
    with pytest.raises(IncompatibleRecipe, match=r"on toy asks for more.*expected at most 3"):
        student(folder, target=Features(layers=4))


def test_another_model_in_its_place_is_refused(folder):
    net = student(folder)
    shutil.rmtree(folder)
    recipe = Recipe(name="x", paper="p", year=2020, summary="s")
    Model(Toy(), recipe, ENCODER).save(folder)
    with pytest.raises(BadConfig, match="holds another model than when the run started"):
        net.recipe.teacher.build(net)


def test_nobody_stands_in_for_it(folder):
    net, packed = student(folder, target=Features()), batch([(3, 4)])
    net.teacher = None
    with pytest.raises(BadConfig, match="there while a model trains"):
        net(packed, net.recipe.mask.draw(packed))


# Whole runs


def run(out, recipe="mae", size=ENCODER, images=IMAGES, modality="image", **options):
    settings = {"steps": 8, "batch_size": 8, "training.workers": 0, **options}
    return anymae.pretrain(images, modality, recipe, size=size, out=out, **settings)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first") / "run", size=WIDER).path


@pytest.mark.parametrize("name", ["maskdistill", "mr-mae", "dmae"])
def test_a_run_resumes_bit_for_bit_and_outlives_its_teacher(tmp_path, first, name, monkeypatch):
    teacher = shutil.copytree(first, tmp_path / "teacher")
    path = {"teacher.path": str(teacher)}
    whole = run(tmp_path / "whole", name, **path).model.state_dict()
    cut_short(monkeypatch, 5, lambda: run(tmp_path / "cut", name, **path))
    resumed = run(tmp_path / "cut", name, **path)
    theirs = resumed.model.state_dict()
    assert whole.keys() == theirs.keys()
    assert all(torch.equal(whole[k], theirs[k]) for k in whole)
    assert not any(k.startswith("teacher") for k in whole)
    shutil.rmtree(teacher)
    loaded = anymae.load(resumed.path)
    assert np.array_equal(loaded.embed(IMAGES), resumed.model.embed(IMAGES))
    assert loaded.recipe.teacher == GivenTeacher(path=str(teacher), encoder=WIDER)
    if name != "maskdistill":
        assert len(loaded.reconstruct(IMAGES[:2]).original) == 2


def test_other_data_are_read_as_the_teacher_reads_its_own(tmp_path, first):
    settings = {"recipe": "maskdistill", "images": IMAGES // 2, "teacher.path": str(first)}
    with pytest.raises(IncompatibleRecipe, match=r"another mean; .*Give the teacher's own adapter"):
        run(tmp_path / "a", **settings)
    own = anymae.load(first).adapter
    assert run(tmp_path / "b", modality=own, **settings).model.adapter == own


def test_it_stays_as_it_was(tmp_path, first, monkeypatch):
    from anymae.training.trained import Trained

    original, kept = Trained.finished, []

    def finished(self):
        kept.append({k: v.clone() for k, v in self.model.teacher.state_dict().items()})
        return original(self)

    monkeypatch.setattr(Trained, "finished", finished)
    run(tmp_path / "run", "maskdistill", **{"teacher.path": str(first)})
    theirs = anymae.load(first).state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in kept[0].items())


def test_its_weights_are_what_is_learned_from(tmp_path, first):
    another = run(tmp_path / "another", size=WIDER, seed=1).path
    runs = [
        run(tmp_path / name, "maskdistill", **{"teacher.path": str(path)})
        for name, path in (("a", first), ("b", another))
    ]
    assert runs[0].history[0]["loss"] != runs[1].history[0]["loss"]
