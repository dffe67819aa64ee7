"""Priorities: noise is fair, boxes are boxes, given numbers are obeyed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given

from anymae.errors import BadInput
from anymae.masks import Mask
from anymae.masks.budgets import CountBudget, RatioBudget
from anymae.masks.groups import AxisGroups, EachToken
from anymae.masks.priorities import BlockPriority, GivenPriority, NoisePriority

from ..toys import batch, keys, shapes


def hidden_maps(mask: Mask, shape: tuple[int, int], count: int) -> torch.Tensor:
    """(count, rows, columns) bool: what one mask hides in many samples of one shape."""
    packed = batch([shape] * count)
    hidden = torch.zeros(packed.segments.total, dtype=torch.bool)
    hidden[mask.draw(packed).hide] = True
    return hidden.view(count, *shape)


def shared_sides(hidden: torch.Tensor) -> float:
    """Pairs of neighbours both hidden, per hidden token: high where the hidden lie together."""
    down = (hidden[:, 1:] & hidden[:, :-1]).sum()
    across = (hidden[:, :, 1:] & hidden[:, :, :-1]).sum()
    return float(down + across) / float(hidden.sum())


# Noise


def test_noise_hides_every_token_equally_often():
    hidden = hidden_maps(Mask(budget=RatioBudget(ratio=0.75)), (4, 4), 2000)
    assert hidden.flatten(1).sum(1).unique().tolist() == [12]
    assert float((hidden.float().mean(0) - 0.75).abs().max()) < 5 * (0.75 * 0.25 / 2000) ** 0.5


def test_noise_hides_every_pair_equally_often():
    hidden = hidden_maps(Mask(budget=CountBudget(seen_count=2)), (1, 4), 3000)[:, 0].float()
    together = (hidden.T @ hidden / 3000)[~torch.eye(4, dtype=torch.bool)]
    assert float((together - 1 / 6).abs().max()) < 5 * (1 / 6 * 5 / 6 / 3000) ** 0.5


def test_groups_are_noisy_as_groups():
    packed = batch([(3, 5), (2, 2)])
    grouping = AxisGroups(axes=(0,)).of(packed)
    priority = NoisePriority().of(packed, grouping)
    assert priority.shape == (5,)
    assert len(priority.unique()) == 5


# Boxes


def test_boxes_hide_contiguous_regions():
    ratio = RatioBudget(ratio=0.4)
    boxes = hidden_maps(Mask(priority=BlockPriority(), budget=ratio), (14, 14), 60)
    noise = hidden_maps(Mask(budget=ratio), (14, 14), 60)
    assert boxes.flatten(1).sum(1).unique().tolist() == [196 - 117]
    assert shared_sides(boxes) > 1.4 > 1.0 > shared_sides(noise)


def test_one_large_enough_box_hides_a_rectangle():
    mask = Mask(
        priority=BlockPriority(smallest=0.5, largest=0.5, aspect=1, boxes=1),
        budget=RatioBudget(ratio=0.2),
    )
    for hidden in hidden_maps(mask, (12, 12), 40):
        rows, columns = hidden.nonzero().T
        height, width = (int(x.max() - x.min()) + 1 for x in (rows, columns))
        # A box of half the area has sides of 8.5 tokens and covers 8 or 9 token centres.
        assert max(height, width) <= 9


def test_boxes_lie_anywhere():
    mask = Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.5))
    often = hidden_maps(mask, (6, 6), 800).float().mean(0)
    assert float(often.min()) > 0.08
    assert float((often - often.flip(0)).abs().max()) < 0.12
    assert float((often - often.flip(1)).abs().max()) < 0.12


@given(shapes)
def test_boxes_keep_the_count_on_any_grid(shapes):
    budget = RatioBudget(ratio=0.6)
    packed = batch(shapes)
    roles = Mask(priority=BlockPriority(), budget=budget).draw(packed)
    assert roles.of_see.lengths.tolist() == budget.seen(packed.segments.lengths).tolist()


def test_boxes_do_not_depend_on_where_the_origin_is():
    packed = batch([(6, 6), (3, 9)])
    moved = replace(packed, coords=packed.coords + torch.tensor([100, -40]))
    mask = Mask(priority=BlockPriority())
    assert torch.equal(mask.draw(packed).see, mask.draw(moved).see)


# Given


def test_given_numbers_decide():
    packed = batch([(1, 4), (1, 3)])
    energy = torch.tensor([4, 1, 3, 2, 9, 7, 8])
    mask = Mask(priority=GivenPriority(field="energy"), budget=CountBudget(seen_count=2))
    roles = mask.draw(replace(packed, side={"energy": energy}))
    assert roles.see.tolist() == [1, 3, 5, 6]


def test_given_numbers_are_averaged_over_groups():
    packed = batch([(2, 2)])
    energy = torch.tensor([0.0, 10.0, 4.0, 4.0])
    found = GivenPriority(field="energy").of(
        replace(packed, side={"energy": energy}), AxisGroups(axes=(0,)).of(packed)
    )
    assert found.tolist() == [5, 4]


def test_given_numbers_must_be_given():
    packed = replace(batch([(2, 2)]), side={"time": torch.zeros(4)})
    with pytest.raises(BadInput) as caught:
        GivenPriority(field="energy").of(packed, EachToken().of(packed))
    assert "a per-token field 'energy'; found ['time']" in str(caught.value)


@given(shapes)
def test_priorities_depend_on_the_sample_alone(shapes):
    packed = batch(shapes)
    for priority in (NoisePriority(), BlockPriority()):
        together = priority.of(packed, EachToken().of(packed))
        for b in range(len(packed)):
            one = packed.slice(b, b + 1)
            alone = priority.of(one, EachToken().of(one))
            own = together[int(packed.offsets[b]) : int(packed.offsets[b + 1])]
            assert torch.equal(alone, own)


def test_another_key_is_another_mask():
    packed = batch([(6, 6)])
    for priority in (NoisePriority(), BlockPriority()):
        mask = Mask(priority=priority)
        seen = {tuple(mask.draw(packed.with_keys(keys(1, s))).see.tolist()) for s in range(20)}
        assert len(seen) == 20
