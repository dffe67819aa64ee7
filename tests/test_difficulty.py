"""Foreseeing how hard tokens are: what is ranked, who says it, and what is hidden for it."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae import layouts
from anymae.decoders import CrossDecoder, EdgeDecoder, LinearDecoder, SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import RankLoss, SquaredLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.groups import BlockGroups
from anymae.masks.watched import DifficultyPriority
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Content, Difficulty
from anymae.teachers import EmaTeacher, NoTeacher
from anymae.views import in_views

from .test_edge_decoder import batch as graphs
from .test_edge_decoder import graph
from .test_edge_decoder import model as edge_model
from .toys import ENCODER, Toy, batch, segments, shaken, shapes
from .training.small import curve, cut_short, pretrain, weights

JUDGE = Goal(decoder=SelfDecoder(), target=Difficulty(), loss=RankLoss(), weight=0.5)


def recipe(**slots) -> Recipe:
    slots = {"also": (JUDGE,), "mask": Mask(priority=DifficultyPriority()), **slots}
    return Recipe(name="x", paper="p", year=2020, summary="s", **slots)


def judging(**slots) -> Model:
    net = shaken(Model(Toy(), recipe(**slots), ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    return net


# The loss


def pairs(said: list[float], true: list[float]) -> list[float]:
    """Each token's mean over the others of another loss, from the definition."""
    found = []
    for i in range(len(said)):
        each = []
        for j in range(len(said)):
            if true[i] > true[j]:
                each.append(-torch.sigmoid(torch.tensor(said[i] - said[j])).log())
            if true[i] < true[j]:
                each.append(-(1 - torch.sigmoid(torch.tensor(said[i] - said[j]))).log())
        found.append(float(sum(each)) / max(len(each), 1))
    return found


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 9))
def test_order_is_scored_pair_by_pair_inside_a_sample(lengths, seed):
    draw = torch.Generator().manual_seed(seed)
    said = torch.randn(sum(lengths), 1, generator=draw)
    true = torch.randint(0, 4, (sum(lengths), 1), generator=draw).float()  # with ties
    found = RankLoss().within(said, true, segments(lengths))
    wanted = []
    for a, b in zip(said[:, 0].split(lengths), true[:, 0].split(lengths), strict=True):
        wanted += pairs(a.tolist(), b.tolist())
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_with_equal_lengths_a_step_averages_over_ordered_pairs():
    draw = torch.Generator().manual_seed(0)
    said, true = torch.randn(12, 1, generator=draw), torch.randn(12, 1, generator=draw)
    found = RankLoss().within(said, true, segments([4, 4, 4])).mean()
    total = sum(
        float(F.softplus(-(a - b)))
        for s, t in zip(said[:, 0].split(4), true[:, 0].split(4), strict=True)
        for a, x in zip(s, t, strict=True)
        for b, y in zip(s, t, strict=True)
        if x > y
    )
    assert float(found) == pytest.approx(2 * total / (3 * 4 * 3))


def test_a_wide_prediction_has_no_order():
    with pytest.raises(BadConfig, match="one number"):
        RankLoss().per_token(torch.zeros(3, 2), torch.zeros(3, 2))


# The goal


def test_the_target_is_the_main_goals_loss():
    net = judging()
    packed = batch([(4, 4), (3, 5), (2, 2)])
    roles = net.recipe.mask.draw(packed, net)
    output = net.train()(packed, roles)
    each = SquaredLoss().per_token(output.prediction, output.target).detach()
    latents, entered = net._encode_masked(packed, roles)
    scene = replace(net.scene(packed, roles), losses=each)
    loss, said, target = net._answer(net.also[0], JUDGE, latents, entered, scene)
    torch.testing.assert_close(target, each[:, None])
    assert said.shape == (roles.of_ask.total, 1)
    assert not target.requires_grad
    torch.testing.assert_close(output.also[0].sum, loss.sum())
    torch.testing.assert_close(loss, RankLoss().within(said, each[:, None], roles.of_ask))


def test_foreseeing_does_not_move_the_reconstruction():
    net = judging()
    packed = batch([(4, 4), (3, 5)])
    net.train()(packed, net.recipe.mask.draw(packed, net)).also[0].sum.backward()
    assert all(p.grad is None for p in [*net.decoder.parameters(), *net.head.parameters()])
    moved = [*net.also[0].decoder.parameters(), *net.also[0].head.project.parameters()]
    assert any(p.grad.abs().max() > 0 for p in moved if p.grad is not None)


def test_a_sample_is_judged_without_its_batch_mates():
    net = judging()
    packed = batch([(4, 4), (3, 5), (2, 2)])
    together = net.difficulty(packed).split(packed.segments.lengths.tolist())
    for b, found in enumerate(together):
        alone = net.difficulty(packed.slice(b, b + 1))
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


# Who says it


@given(shapes)
def test_the_teacher_judges_with_a_goal_of_its_own(shapes):
    net = judging(teacher=EmaTeacher())
    packed = batch(shapes)
    before = net.difficulty(packed)
    for parameter in net.parameters():
        parameter.data += 0.1 * parameter.requires_grad
    assert torch.equal(net.difficulty(packed), before)
    net.teacher = None
    if len(before) > 1:
        assert not torch.allclose(net.difficulty(packed), before)


def test_the_teachers_goal_follows_the_students():
    net = judging(teacher=EmaTeacher(start=0.9, end=0.9), also=(Goal(decoder=SelfDecoder()), JUDGE))
    names = {name for name, _ in net.teacher.named_parameters()}
    assert any(name.startswith("also.1.decoder") for name in names)
    assert not any(name.startswith("also.0") for name in names)
    weight = net.also[1].head.project.weight
    weight.data += 1.0
    before = net.teacher.also["1"].head.project.weight.clone()
    net.recipe.teacher.follow(net.teacher, net, 0.5, 0.4)
    torch.testing.assert_close(
        net.teacher.also["1"].head.project.weight, 0.9 * before + 0.1 * weight
    )


def test_a_recipe_that_judges_nothing_has_a_teacher_without_goals():
    net = shaken(Model(Toy(), recipe(also=(Goal(decoder=SelfDecoder()),), mask=Mask()), ENCODER))
    assert len(EmaTeacher().build(net).also) == 0


def test_judging_is_answering_for_every_token_while_all_are_seen():
    net = judging(also=(JUDGE.model_copy(update={"decoder": CrossDecoder(), "tap": 0}),))
    packed = batch([(4, 4), (3, 5)])
    judge, latents = net.also[0], net.encode(packed, (0,))
    x = judge.decoder.mask_token + judge.decoder.position(packed.coords)
    for block in judge.decoder.blocks:
        x = block(x, packed.segments, latents.taps[0], latents.segments)
    wanted = judge.head(judge.decoder.norm(x), packed.coords)[:, 0]
    torch.testing.assert_close(net.difficulty(packed), wanted)


def test_a_linear_judge_reads_the_tokens_themselves():
    judge = JUDGE.model_copy(update={"decoder": LinearDecoder()})
    net = judging(also=(judge,), corruption="mask-token")
    packed = batch([(4, 4), (3, 5)])
    wanted = net.also[0].head(net.encode(packed).tokens(), packed.coords)[:, 0]
    torch.testing.assert_close(net.difficulty(packed), wanted)


def test_a_judge_may_answer_along_edges():
    judge = JUDGE.model_copy(update={"decoder": EdgeDecoder(depth=1)})
    net = edge_model(also=[judge.model_dump(mode="json")])
    path, lonely = graph(4, [(0, 1), (1, 2), (2, 3)]), graph(2, [], seed=1)
    packed = graphs(path, lonely)
    latents = net.encode(packed)
    x = net.also[0].decoder.embed(latents.tokens()) + net.also[0].decoder.position(packed.coords)
    block = net.also[0].decoder.blocks[0]
    alone = layouts.edges(packed.edges.pairs, None, segments([0, 0]), packed.segments)
    x = net.also[0].decoder.norm(block(x, alone, packed.segments, depth=0))
    torch.testing.assert_close(net.difficulty(packed), net.also[0].head(x, None)[:, 0])


def test_views_are_judged_once(monkeypatch):
    net = judging(teacher=EmaTeacher())
    packed = batch([(4, 4), (3, 5)])
    once = net.difficulty(packed)
    calls = []
    net.teacher.encoder.register_forward_hook(lambda *hook: calls.append(0))
    assert torch.equal(net.difficulty(in_views(packed, 3)), once.repeat(3))
    assert len(calls) == 1


# What is hidden for it


class Foreseen:
    """An onlooker that finds the tokens of each sample harder the later they come."""

    def __init__(self, done: float) -> None:
        self.done = done

    def difficulty(self, packed):
        return packed.segments.within("cpu").float() / 7


@pytest.mark.parametrize("done", [0.0, 0.5, 1.0])
def test_a_rising_share_of_the_hidden_are_the_hardest(done):
    packed = batch([(10, 10)] * 40 + [(4, 5)])
    mask = Mask(priority=DifficultyPriority(start=0.0, end=0.5))
    roles = mask.draw(packed, Foreseen(done))
    for b, length in enumerate(packed.segments.lengths.tolist()):
        gone = roles.hide[roles.of_hide.offsets[b] : roles.of_hide.offsets[b + 1]]
        gone = set((gone - packed.offsets[b]).tolist())
        assert len(gone) == round(0.75 * length)
        forced = int(done * 0.5 * len(gone) + 1e-9)
        assert set(range(length - forced, length)) <= gone
    easy = torch.zeros(100)
    for b in range(40):
        easy[roles.hide[b * 75 : b * 75 + 75] - 100 * b] += 1
    forced = int(done * 0.5 * 75 + 1e-9)
    share = (75 - forced) / (100 - forced)  # every other token is as likely as any
    spread = (share * (1 - share) / 40) ** 0.5
    assert float((easy[: 100 - forced] / 40 - share).abs().max()) < 4.5 * spread


def test_at_the_start_a_mask_is_noise():
    packed = batch([(6, 6)] * 5)
    hard = Mask(priority=DifficultyPriority()).draw(packed, Foreseen(0.0))
    assert torch.equal(hard.see, Mask().draw(packed).see)
    assert torch.equal(
        Mask(priority=DifficultyPriority()).draw(packed).see, Mask().draw(packed).see
    )


def test_groups_are_hidden_by_their_mean_difficulty():
    packed = batch([(8, 8)] * 3)
    mask = Mask(
        priority=DifficultyPriority(start=1.0, end=1.0),
        groups=BlockGroups(size=4),
        budget=RatioBudget(ratio=0.5),
    )
    hidden = mask.draw(packed, Foreseen(0.3)).hide
    assert torch.equal(hidden, torch.cat([torch.arange(32, 64) + 64 * b for b in range(3)]))


# What does not fit


def test_a_mask_by_difficulty_needs_a_judge():
    with pytest.raises(IncompatibleRecipe, match="needs a goal"):
        Model(Toy(), recipe(also=()), ENCODER)


@pytest.mark.parametrize(
    "slots",
    [{"target": Difficulty()}, {"also": (JUDGE.model_copy(update={"scope": "seen"}),)}],
    ids=["main", "seen"],
)
def test_difficulty_is_that_of_another_goal_for_the_same_tokens(slots):
    with pytest.raises(IncompatibleRecipe, match="losses of the main goal"):
        Model(Toy(), recipe(**slots), ENCODER)


# Whole runs


def test_what_cannot_be_predicted_is_foreseen_as_hard():
    """Half of the tokens are constant, half noise: the judge learns which, without the teacher."""
    torch.manual_seed(0)
    made = recipe(mask=Mask(), target=Content(), teacher=NoTeacher())
    net = Model(Toy(), made, EncoderConfig(width=32, depth=1, heads=2), seed=1).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for step in range(80):
        packed = _half_noise(step)
        output = net(packed, made.mask.draw(packed))
        loss = output.loss / output.count + output.also[0].sum / output.also[0].count
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    said = net.difficulty(_half_noise(1000)).view(16, 16)
    assert bool((said[:, 8:].amin(1) > said[:, :8].amax(1)).all())


def _half_noise(seed: int):
    packed = batch([(4, 4)] * 16, seed)
    noisy = (packed.coords[:, :1] >= 2).float()
    return replace(packed, values=packed.values * noisy)


def test_a_run_of_hpm_resumes_bit_for_bit(tmp_path, monkeypatch):
    small = EncoderConfig(width=16, depth=2, heads=2)
    run = lambda out: pretrain(out, recipe="hpm", size=small, steps=8)  # noqa: E731
    whole = run(tmp_path / "whole")
    cut_short(monkeypatch, 5, lambda: run(tmp_path / "cut"))
    resumed = run(tmp_path / "cut")
    assert weights(resumed) == weights(whole)
    assert curve(resumed) == curve(whole)


def test_a_finished_model_of_hpm_masks_and_rebuilds(tmp_path):
    small = EncoderConfig(width=16, depth=2, heads=2)
    run = pretrain(tmp_path / "run", recipe="hpm", size=small, steps=2)
    loaded = anymae.load(run.path)
    assert loaded.teacher is None
    rebuilt = loaded.reconstruct(list(anymae.modalities()["image"]().example(0)[None, :, :, 0]))
    assert len(rebuilt.reconstruction) == 1
