"""Masks that follow change: against loops over frames, and on clips whose motion is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.change import ChangePriority, MotionPriority, change
from anymae.masks.groups import AxisGroups
from anymae.tokens import OBSERVED, Packed, Tokens

from ..toys import batch, keys, shapes

EVEREST = anymae.recipes()["everest"].mask


def clips(count: int, frames: int, side: int, where=None, seed: int = 0) -> Packed:
    """Still clips of noise, (frames, side, side) tokens of 4 numbers; tokens for which
    ``where(b, t, y, x)`` holds are another at each time."""
    draw = np.random.default_rng(seed)
    still = draw.normal(size=(count, 1, side, side, 4)).repeat(frames, 1)
    for place in np.ndindex(count, frames, side, side):
        if where is not None and where(*place):
            still[place] = 5 * draw.normal(size=4)
    t, y, x = (n.ravel() for n in np.indices((frames, side, side)))
    coords = torch.from_numpy(np.stack([t, y, x], 1))
    samples = [Tokens(torch.from_numpy(clip.reshape(-1, 4)).float(), coords) for clip in still]
    return Packed.of(samples).with_keys(keys(count, seed))


def by_loops(values: np.ndarray) -> np.ndarray:
    """(T, C) the change of (T, C, F) from its definition."""
    found = np.zeros(values.shape[:2])
    if len(values) > 1:
        found[1:] = np.linalg.norm(values[1:] - values[:-1], axis=-1)
        found[0] = found[1]
    return found


@given(shapes, st.integers(0, 9))
def test_change_is_the_distance_to_the_time_before(shapes, seed):
    packed = batch(shapes, seed)  # rows are times
    for shape, one in zip(shapes, packed.split(), strict=True):
        wanted = by_loops(one.values.numpy().reshape(*shape, -1))
        found = change(Packed.of([one]))
        np.testing.assert_allclose(found, wanted.ravel(), rtol=1e-5)
    whole = change(packed)
    alone = [change(packed.slice(b, b + 1)) for b in range(len(packed))]
    torch.testing.assert_close(whole, torch.cat(alone))


def test_change_does_not_depend_on_the_order_of_tokens():
    packed = batch([(5, 4)])
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    mixed = packed.select(order, packed.segments)
    torch.testing.assert_close(change(mixed), change(packed)[order])


def test_only_what_both_times_know_changes():
    packed = batch([(3, 1)])
    known = torch.ones(3, 6, dtype=torch.bool)
    known[1, 2:] = False
    found = change(replace(packed, side={OBSERVED: known}))
    first, second, third = packed.values
    wanted = [(second - first)[:2].norm(), (second - first)[:2].norm(), (third - second)[:2].norm()]
    torch.testing.assert_close(found, torch.stack(wanted))


@pytest.mark.parametrize("hide", [False, True])
@given(shapes, st.integers(0, 9))
def test_what_changes_most_is_seen_or_hidden(hide, shapes, seed):
    packed = batch(shapes, seed)
    roles = Mask(priority=ChangePriority(hide=hide), budget=RatioBudget(ratio=0.5)).draw(packed)
    moved = change(packed)
    for b in range(len(packed)):
        seen, hidden = (
            moved[rows[of.offsets[b] : of.offsets[b + 1]]]
            for rows, of in ((roles.see, roles.of_see), (roles.hide, roles.of_hide))
        )
        if len(hidden):
            most, least = (hidden, seen) if hide else (seen, hidden)
            assert most.min() >= least.max()


def test_where_nothing_changes_noise_decides():
    packed = clips(400, 2, 2)
    roles = Mask(priority=ChangePriority(), budget=RatioBudget(ratio=0.5)).draw(packed)
    often = torch.bincount(roles.see % 8, minlength=8) / 400
    assert float((often - 0.5).abs().max()) < 5 * (0.25 / 400) ** 0.5


def test_groups_change_as_a_whole():
    packed = clips(1, 3, 3, lambda b, t, y, x: y == 1)
    mask = Mask(
        priority=ChangePriority(), groups=AxisGroups(axes=(1,)), budget=RatioBudget(ratio=2 / 3)
    )
    assert packed.coords[mask.draw(packed).see][:, 1].tolist() == [1] * 9


# EVEREST


def test_everest_counts_tokens_as_its_code_does():
    """8 x 14 x 14 tokens: 156 seen and 314 asked, together the 470 that change most."""
    packed = clips(2, 8, 14, lambda b, t, y, x: (x + t) % 14 < 7)
    roles = EVEREST.draw(packed)
    assert roles.of_see.lengths.tolist() == [156, 156]
    assert roles.of_ask.lengths.tolist() == [314, 314]
    moved = change(packed).view(2, -1)
    for b in range(2):
        pool = torch.cat([roles.see.view(2, -1)[b], roles.ask.view(2, -1)[b]]) - b * 1568
        rest = torch.ones(1568, dtype=torch.bool)
        rest[pool] = False
        assert moved[b][pool].min() >= moved[b][rest].max()


def test_who_of_the_pool_is_seen_is_random():
    packed = clips(600, 5, 2, lambda b, t, y, x: t in (1, 2) and y == 0)
    roles = Mask(
        priority=ChangePriority(pool=0.3), budget=RatioBudget(ratio=0.9), ask=2 / 9, asked="next"
    ).draw(packed)
    seen = torch.bincount(roles.see % 20, minlength=20)
    asked = torch.bincount(roles.ask % 20, minlength=20)
    pool = (seen + asked) > 0
    assert int(pool.sum()) <= 8  # the moving place's times 0 to 3, of which six have most
    assert seen[asked > 0].min() > 0


def test_the_next_are_asked_in_the_masks_own_order():
    packed = batch([(4, 5), (2, 3), (1, 1)])
    some = Mask(budget=RatioBudget(ratio=0.8), ask=0.5, asked="next").draw(packed)
    more = Mask(budget=RatioBudget(ratio=0.4)).draw(packed)
    together = torch.cat([some.see, some.ask]).sort().values
    for b, (a, c) in enumerate([(0, 20), (20, 26)]):
        mine = together[(together >= a) & (together < c)]
        theirs = more.see[(more.see >= a) & (more.see < c)]
        assert {*theirs.tolist()} <= {*mine.tolist()} or {*mine.tolist()} <= {*theirs.tolist()}, b
    assert set(some.ask.tolist()) <= set(some.hide.tolist())


def test_the_next_of_groups_are_whole_tokens_of_the_next_groups():
    packed = batch([(6, 4)])
    mask = Mask(
        groups=AxisGroups(axes=(0,)), budget=RatioBudget(ratio=0.5), ask=1 / 3, asked="next"
    )
    roles = mask.draw(packed)
    assert len(roles.ask) == 4
    assert len(packed.coords[roles.ask][:, 0].unique()) == 1


# Motion


def test_the_hidden_surround_what_moves_at_each_time():
    """One token moves along the diagonal of a still clip; boxes of 9 are hidden around it."""
    packed = clips(3, 6, 9, lambda b, t, y, x: y == x == t + 1)
    roles = Mask(priority=MotionPriority(), budget=RatioBudget(ratio=1 / 9)).draw(packed)
    gone = packed.coords[roles.hide].view(3, -1, 3)
    assert gone.shape[1] == 54
    for sample in gone:
        for t in range(1, 6):
            at_once = sample[sample[:, 0] == t][:, 1:].float()
            # What moves leaves its last place and enters the next: between the two it is found.
            middle = at_once.mean(0)
            assert float((middle - (t + 0.5)).abs().max()) < 1
            assert float((at_once - middle).abs().max()) <= 2


def test_a_still_time_follows_the_whole_sample():
    packed = clips(1, 6, 9, lambda b, t, y, x: t < 2 and y == x == 7)
    roles = Mask(priority=MotionPriority(), budget=RatioBudget(ratio=1 / 9)).draw(packed)
    late = packed.coords[roles.hide]
    late = late[late[:, 0] > 3][:, 1:].float()
    assert len(late) > 10
    assert float((late.mean(0) - 7).abs().max()) < 1


@pytest.mark.parametrize("priority", [MotionPriority(), ChangePriority(), ChangePriority(pool=0.4)])
@given(shapes, st.integers(0, 9))
def test_a_sample_is_masked_without_its_batch_mates(priority, shapes, seed):
    packed = batch(shapes, seed)
    mask = Mask(priority=priority, budget=RatioBudget(ratio=0.6))
    see = mask.draw(packed).see
    alone = [mask.draw(packed.slice(b, b + 1)).see + packed.offsets[b] for b in range(len(packed))]
    assert torch.equal(see, torch.cat(alone))


def test_a_modality_without_time_is_refused_by_name():
    with pytest.raises(anymae.errors.IncompatibleRecipe, match=r"change needs time.*image"):
        anymae.recipes()["everest"].check(anymae.modalities()["image"]())
