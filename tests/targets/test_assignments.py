"""Soft assignments by a teacher's own head, against loops over tokens."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given

import anymae
from anymae import draws
from anymae.corruption import MaskToken
from anymae.decoders import CrossDecoder, LinearDecoder, SelfDecoder
from anymae.errors import IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import CrossEntropyLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Assignments
from anymae.targets.assignments import PrototypeHead
from anymae.teachers import EmaTeacher, GivenTeacher, NoTeacher
from anymae.training.baselines import trivial

from ..toys import ENCODER, Toy, batch, shaken, shapes
from ..training.small import ENCODER as SMALL
from ..training.small import digits, pretrain, weights

TARGET = Assignments(codes=5, hidden=12, bottleneck=7, momentum=0.8)
RAGGED = [(3, 4), (2, 3), (1, 1), (4, 4)]


def recipe(target=TARGET, **slots) -> Recipe:
    slots = {"corruption": MaskToken(), "decoder": LinearDecoder(), "teacher": EmaTeacher()} | slots
    return Recipe(
        name="x", paper="p", year=2020, summary="s",
        target=target, loss=CrossEntropyLoss(), **slots,
    )  # fmt: skip


def taught(target=TARGET, **slots) -> Model:
    """A student that has moved away from its teacher, and a centre that is not 0."""
    net = shaken(Model(Toy(), recipe(target, **slots), ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    shaken(net)
    net.target_state.mean.copy_(torch.linspace(-0.3, 0.2, target.codes))
    return net.train()


def of_samples(net: Model, packed, roles) -> np.ndarray:
    """(A, K) cosines of the teacher's head for every asked token, sample by sample."""
    head, found = net.teacher.head, []
    prototypes = head.prototypes.double().numpy()
    prototypes = prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
    for b in range(len(packed)):
        start, stop = roles.of_ask.offsets[b], roles.of_ask.offsets[b + 1]
        own = roles.ask[start:stop] - packed.offsets[b]
        x = head.layers(net.teacher(packed.slice(b, b + 1)).tokens()[own]).double().numpy()
        found.append(x / np.linalg.norm(x, axis=1, keepdims=True) @ prototypes.T)
    return np.concatenate(found)


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


@given(shapes)
def test_targets_are_the_teachers_centred_and_sharpened(shapes):
    net, packed = taught(), batch(shapes)
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    if not output.count:
        assert output.loss == 0
        return
    said = of_samples(net, packed, roles)
    target = softmax((said - net.target_state.mean.double().numpy()) / 0.04)
    np.testing.assert_allclose(output.target, target, atol=1e-3)
    log = np.log(softmax(output.prediction.detach().double().numpy() / 0.1))
    np.testing.assert_allclose(output.loss.item(), -(target * log).sum(), rtol=1e-3)


def test_predictions_are_the_students_own_head_of_hidden_rows():
    net, packed = taught(), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    latents, _ = net._encode_masked(packed, roles)
    x = net.head.layers(latents.tokens()[roles.ask])
    wanted = torch.nn.functional.cosine_similarity(x[:, None], net.head.prototypes[None], dim=2)
    torch.testing.assert_close(net(packed, roles).prediction, wanted)
    assert not torch.equal(net.head.prototypes, net.teacher.head.prototypes)


def test_gradients_reach_the_student_alone():
    net, packed = taught(), batch(RAGGED)
    net(packed, net.recipe.mask.draw(packed, net)).loss.backward()
    assert all(p.grad is None for p in net.teacher.parameters())
    assert all(p.grad is not None and p.grad.any() for p in net.head.parameters())


def test_the_teachers_head_follows_the_students():
    net = taught(teacher=EmaTeacher(start=0.9, end=0.9))
    before = {n: p.clone() for n, p in net.teacher.head.named_parameters()}
    net.recipe.teacher.follow(net.teacher, net, 0.5, 0.4)
    student = dict(net.head.named_parameters())
    for name, parameter in net.teacher.head.named_parameters():
        torch.testing.assert_close(parameter, 0.9 * before[name] + 0.1 * student[name])


def test_without_a_teacher_the_students_own_head_answers():
    net, packed = taught(teacher=NoTeacher()), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    said = net.head(net.encode(packed).tokens()[roles.ask], None)
    wanted = ((said - net.target_state.mean) / 0.04).softmax(1)
    torch.testing.assert_close(output.target, wanted, rtol=1e-3, atol=1e-4)
    assert not output.target.requires_grad


# The centre


def test_a_step_moves_the_centre_towards_what_was_said():
    net, packed = taught(), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    before = net.target_state.mean.double().numpy().copy()
    wanted = 0.8 * before + 0.2 * of_samples(net, packed, roles).mean(0)
    net.learn(net(packed, roles).observed)
    np.testing.assert_allclose(net.target_state.mean, wanted, atol=1e-5)


def test_parts_of_a_step_observe_what_the_whole_does():
    net, packed = taught(), batch(RAGGED)
    whole = net(packed, net.recipe.mask.draw(packed, net)).observed[0]
    parts = [packed.slice(0, 2), packed.slice(2, 3), packed.slice(3, 4)]
    seen = [net(part, net.recipe.mask.draw(part, net)).observed[0] for part in parts]
    torch.testing.assert_close(sum(seen), whole, rtol=1e-4, atol=1e-4)
    assert whole[-1] == net.recipe.mask.draw(packed, net).of_ask.total


def test_a_step_that_asks_nothing_leaves_the_centre():
    net, packed = taught(), batch([(1, 1), (1, 1)])
    before = net.target_state.mean.clone()
    net.learn(net(packed, net.recipe.mask.draw(packed, net)).observed)
    assert torch.equal(net.target_state.mean, before)


def test_nothing_is_learned_outside_training():
    net, packed = taught().eval(), batch(RAGGED)
    assert not net(packed, net.recipe.mask.draw(packed, net)).observed


def test_cosines_are_exact_in_half_precision():
    head, x = shaken(PrototypeHead(16, 12, 7, 5)), torch.randn(9, 16)
    with torch.autocast("cpu", torch.bfloat16):
        said, z = head(x, None), head.layers(x)
    assert z.dtype == torch.bfloat16
    wanted = torch.nn.functional.cosine_similarity(
        z.double()[:, None], head.prototypes[None], dim=2
    )
    torch.testing.assert_close(said.double(), wanted, rtol=0, atol=1e-6)


# Further goals, and who may not


def test_a_further_goal_has_a_head_and_a_centre_of_its_own():
    second = Goal(target=Assignments(codes=3), loss=CrossEntropyLoss(), scope="seen")
    net, packed = taught(also=(Goal(scope="seen"), second)), batch(RAGGED)
    assert set(net.teacher.also) == {"1"}
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    assert {number: len(seen) for number, seen in output.observed.items()} == {0: 6, 2: 4}
    x = net.teacher(packed).tokens()[roles.see]
    said = net.teacher.also["1"].head(x, None)
    torch.testing.assert_close(output.observed[2][:-1], said.sum(0), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(said, net.also[1].head(x, None))
    before = net.also[1].target_state.mean.clone()
    net.learn(output.observed)
    torch.testing.assert_close(
        net.also[1].target_state.mean, 0.9 * before + 0.1 * said.mean(0), rtol=1e-4, atol=1e-5
    )


def test_a_teacher_keeps_no_head_that_nobody_asks():
    net = Model(Toy(), Recipe(name="x", paper="p", year=2020, summary="s"), ENCODER)
    assert EmaTeacher().build(net).head is None


@pytest.mark.parametrize("decoder", [SelfDecoder(), CrossDecoder()])
def test_one_head_reads_answers_and_features_of_one_width(decoder):
    with pytest.raises(IncompatibleRecipe, match=r"on toy needs .*found 32; expected 16"):
        Model(Toy(), recipe(decoder=decoder), ENCODER)
    net = taught(decoder=decoder.model_copy(update={"width": 16, "heads": 2}), corruption="drop")
    packed = batch(RAGGED)
    assert net(packed, net.recipe.mask.draw(packed, net)).loss > 0


def test_a_given_teacher_has_no_such_head():
    with pytest.raises(IncompatibleRecipe, match="needs a teacher with a copy"):
        recipe(teacher=GivenTeacher(path="x")).check(Toy())
    goal = Goal(target=TARGET, loss=CrossEntropyLoss())
    with pytest.raises(IncompatibleRecipe, match="needs a teacher with a copy"):
        recipe("content", teacher=GivenTeacher(path="x"), also=(goal,)).check(Toy())


def test_the_share_of_each_prototype_is_a_trivial_answer():
    """Where the teacher says the same of every token, saying how often it says what is the best one
    can do, but for the tenth that is spread evenly."""
    net, packed = taught(Assignments(codes=2, hidden=12, bottleneck=7)), batch([(4, 4)] * 6)
    for layer in net.teacher.head.layers[::2]:
        layer.weight.data.zero_()
    said = net.teacher.head(torch.zeros(1, 16), None)
    share = ((said - net.target_state.mean) / 0.04).softmax(1)
    wanted = -(share * torch.log(0.9 * share + 0.05)).sum()
    found = trivial(net.eval(), [packed])
    assert found.position_mean == pytest.approx(float(wanted), rel=1e-4)
    assert found.context_mean == pytest.approx(float(wanted), rel=1e-4)


# Collapse


def entropy(p: torch.Tensor) -> torch.Tensor:
    return -(p * p.clamp(min=1e-12).log()).sum(-1)


def mean_and_token_entropy(centres: bool = True, **target) -> tuple[float, float]:
    """Of the teacher's assignments after 150 steps on digits, as shares of the largest possible:
    how evenly tokens share the prototypes, and how undecided each token is."""
    images = list(digits())
    adapter = anymae.modalities()["image"]().fit(images)
    method = recipe(
        Assignments(codes=16, bottleneck=32, **target),
        teacher=EmaTeacher(start=0.99),
        mask=Mask(budget=RatioBudget(ratio=0.3)),
    )
    net = Model(adapter, method, SMALL, seed=0).train()
    net.teacher = method.teacher.build(net)
    trained = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    for step in range(150):
        chosen = np.random.default_rng(step).choice(len(images), 32, replace=False)
        packed = adapter.batch_tokenize([images[i] for i in chosen])
        packed = packed.with_keys(torch.tensor([draws.key(step, int(i), "toy") for i in chosen]))
        output = net(packed, method.mask.draw(packed, net))
        optimiser.zero_grad()
        (output.loss / output.count).backward()
        optimiser.step()
        method.teacher.follow(net.teacher, net, (step + 1) / 150, step / 150)
        if centres:
            net.learn(output.observed)
    found = entropy(output.target.mean(0)), entropy(output.target).mean()
    return tuple(float(x) / math.log(16) for x in found)


def test_centring_and_sharpening_keep_prototypes_in_use_and_tokens_decided():
    shared, undecided = mean_and_token_entropy()
    assert shared > 0.85
    assert undecided < 0.75


def test_without_a_centre_most_prototypes_are_forgotten():
    assert mean_and_token_entropy(centres=False)[0] < 0.5


def test_targets_softer_than_predictions_choose_nothing():
    assert mean_and_token_entropy(sharpness=0.2)[1] > 0.98


# Whole runs

RUN = {"recipe": "ibot", "steps": 6, "training.ema": None, "target.codes": 8}


def test_a_skipped_step_moves_no_centre(tmp_path, monkeypatch):
    from anymae.training.trainer import Trainer

    original, kept = Trainer._update, []

    def update(self, loss, count, observed):
        kept.append(self.model.target_state.mean.clone())
        original(self, float("nan") if self.progress.step == 3 else loss, count, observed)

    monkeypatch.setattr(Trainer, "_update", update)
    pretrain(tmp_path / "run", **RUN)
    still = [torch.equal(a, b) for a, b in pairwise(kept)]
    assert still == [False, False, False, True, False]


def test_validation_moves_no_centre(tmp_path):
    often = pretrain(tmp_path / "a", **RUN, **{"training.validate_every": 1})
    once = pretrain(tmp_path / "b", **RUN, **{"training.validate_every": 100})
    assert weights(often) == weights(once)


def test_accumulated_micro_batches_count_as_one_step(tmp_path):
    whole = pretrain(tmp_path / "a", **RUN).model.target_state.mean
    parts = pretrain(tmp_path / "b", **RUN, **{"training.micro_tokens": 50}).model.target_state.mean
    assert whole.any()
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-4)


def test_a_saved_model_keeps_its_head_and_centre(tmp_path):
    made = pretrain(tmp_path / "run", **RUN)
    loaded = anymae.load(made.path)
    assert isinstance(loaded.head, PrototypeHead)
    assert torch.equal(loaded.target_state.mean, made.model.target_state.mean)
    assert not any(name.startswith("teacher") for name in loaded.state_dict())
