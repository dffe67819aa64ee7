"""Mask: who is seen, hidden and asked; a function of each sample's own key."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anymae.errors import BadConfig
from anymae.masks import Mask
from anymae.masks.budgets import CountBudget, RatioBudget
from anymae.masks.groups import AxisGroups, BlockGroups
from anymae.masks.priorities import BlockPriority
from anymae.tokens import Packed

from ..toys import batch, keys, shapes

MASKS = {
    "mae": Mask(),
    "half-asked": Mask(ask=0.5),
    "blocks": Mask(groups=BlockGroups(size=2), budget=RatioBudget(ratio=0.6)),
    "boxes": Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.4), ask=0.3),
    "rows": Mask(groups=AxisGroups(axes=(0,)), budget=CountBudget(seen_count=2), ask=0.9),
}
mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def roles_of(mask: Mask, packed: Packed) -> list[tuple[list, list, list]]:
    """What each sample's own tokens see, hide and are asked."""
    roles, found = mask.draw(packed), []
    for b, start in enumerate(packed.offsets[:-1]):
        own = []
        for index, of in (
            (roles.see, roles.of_see),
            (roles.hide, roles.of_hide),
            (roles.ask, roles.of_ask),
        ):
            part = index[int(of.offsets[b]) : int(of.offsets[b + 1])] - start
            own.append(part.tolist())
        found.append(tuple(own))
    return found


@mask
@given(shapes)
def test_seen_and_hidden_are_a_partition_and_asked_are_hidden(mask, shapes):
    packed = batch(shapes)
    for (see, hide, ask), length in zip(
        roles_of(mask, packed), packed.segments.lengths.tolist(), strict=True
    ):
        assert sorted(see + hide) == list(range(length))
        assert all(part == sorted(set(part)) for part in (see, hide, ask))
        assert set(ask) <= set(hide)
        assert len(ask) == math.ceil(len(hide) * mask.ask - 1e-9)
        assert see


@mask
@given(shapes, st.randoms(use_true_random=False))
def test_roles_depend_on_the_sample_not_on_its_batch(mask, shapes, random):
    packed = batch(shapes)
    together = roles_of(mask, packed)
    order = list(range(len(packed)))
    random.shuffle(order)
    parts = packed.split()
    shuffled = Packed.of([parts[i] for i in order]).with_keys(packed.keys[order])
    assert roles_of(mask, shuffled) == [together[i] for i in order]
    for b in range(len(packed)):
        assert roles_of(mask, packed.slice(b, b + 1)) == [together[b]]


@mask
def test_values_have_no_say(mask):
    packed = batch([(4, 4), (3, 5)])
    other = replace(packed, values=torch.randn_like(packed.values))
    assert roles_of(mask, packed) == roles_of(mask, other)


@mask
def test_the_key_has_all_the_say(mask):
    packed = batch([(6, 6)])
    assert roles_of(mask, packed) == roles_of(mask, packed)
    assert roles_of(mask, packed) != roles_of(mask, packed.with_keys(keys(1, 5)))


def test_asking_for_less_changes_neither_seen_nor_hidden():
    packed = batch([(4, 4), (3, 5)])
    everything, half = (Mask(ask=ask).draw(packed) for ask in (1.0, 0.5))
    assert torch.equal(everything.see, half.see)
    assert torch.equal(everything.hide, half.hide)
    assert torch.equal(everything.ask, everything.hide)


def test_every_hidden_token_is_asked_equally_often():
    packed = batch([(1, 5)] * 3000)
    roles = Mask(budget=CountBudget(seen_count=1), ask=0.5).draw(packed)
    asked = torch.bincount(roles.ask % 5, minlength=5) / 3000
    assert float((asked - 0.4).abs().max()) < 5 * (0.4 * 0.6 / 3000) ** 0.5


def test_a_batch_of_single_tokens_hides_nothing():
    roles = Mask(ask=0.5).draw(batch([(1, 1), (1, 1)]))
    assert roles.see.tolist() == [0, 1]
    assert len(roles.hide) == len(roles.ask) == 0
    assert roles.of_ask.lengths.tolist() == [0, 0]


def test_a_mask_needs_keys():
    with pytest.raises(BadConfig, match=r"without keys.*Packed\.with_keys"):
        Mask().draw(replace(batch([(2, 2)]), keys=None))


def test_the_ratio_can_be_changed_and_read():
    assert Mask().ratio == 0.75
    assert Mask(ask=0.5).with_ratio(0.9) == Mask(ask=0.5, budget=RatioBudget(ratio=0.9))
    assert Mask(budget=CountBudget(seen_count=3)).ratio is None
    with pytest.raises(BadConfig, match="ratio must be between 0 and 1; found 1"):
        Mask().with_ratio(1)


@pytest.mark.parametrize("ask", [0, -1, 1.01])
def test_impossible_questions_are_refused(ask):
    with pytest.raises(ValidationError):
        Mask(ask=ask)
