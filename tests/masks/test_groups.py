"""Groups: tokens tied by their place, as a dictionary would tie them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadConfig
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.groups import AxisGroups, BlockGroups, EachToken

from ..toys import batch, shapes

TIES = {
    "rows": (AxisGroups(axes=(0,)), lambda c: (c[0],)),
    "columns": (AxisGroups(axes=(1,)), lambda c: (c[1],)),
    "last": (AxisGroups(axes=(-1,)), lambda c: (c[1],)),
    "both": (AxisGroups(axes=(0, 1)), lambda c: (c[0], c[1])),
    "blocks": (BlockGroups(size=2), lambda c: (c[0] // 2, c[1] // 2)),
    "odd-blocks": (BlockGroups(size=1.5), lambda c: (c[0] // 1.5, c[1] // 1.5)),
}
tie = pytest.mark.parametrize("tie", TIES)


def tied(packed, rule) -> list[list[set[int]]]:
    """For each sample its groups of tokens, in the order of their cells."""
    samples = []
    for b in range(len(packed)):
        cells = {}
        for token in range(int(packed.offsets[b]), int(packed.offsets[b + 1])):
            cells.setdefault(rule(packed.coords[token].tolist()), set()).add(token)
        samples.append([cells[cell] for cell in sorted(cells)])
    return samples


@tie
@given(shapes)
def test_groups_are_the_tokens_of_one_cell_of_one_sample(tie, shapes):
    groups, rule = TIES[tie]
    packed = batch(shapes)
    grouping = groups.of(packed)
    wanted = tied(packed, rule)
    assert grouping.segments.lengths.tolist() == [len(cells) for cells in wanted]
    found = [set() for _ in range(grouping.segments.total)]
    for token, group in enumerate(grouping.of_token.tolist()):
        found[group].add(token)
    assert found == [cell for cells in wanted for cell in cells]


@tie
@given(shapes, st.floats(0.1, 0.9))
def test_counts_are_exact_in_groups_and_no_group_is_split(tie, shapes, ratio):
    groups, rule = TIES[tie]
    packed = batch(shapes)
    budget = RatioBudget(ratio=ratio)
    roles = Mask(groups=groups, budget=budget).draw(packed)
    seen = set(roles.see.tolist())
    for cells in tied(packed, rule):
        whole = [cell <= seen for cell in cells]
        assert all(inside or not cell & seen for inside, cell in zip(whole, cells, strict=True))
        assert sum(whole) == int(budget.seen(torch.tensor([len(cells)])))
    owners = packed.segments.ids("cpu")[roles.see]
    assert roles.of_see.lengths.tolist() == torch.bincount(owners, minlength=len(packed)).tolist()


def test_negative_and_fractional_coordinates_have_cells_too():
    packed = batch([(1, 4)])
    moved = replace(packed, coords=torch.tensor([[-0.5, 0.0], [-0.1, 0.9], [0.1, 0.0], [1.9, 0.9]]))
    assert BlockGroups(size=1).of(moved).of_token.tolist() == [0, 0, 1, 2]


def test_every_token_is_its_own_group_by_default():
    packed = batch([(2, 2), (1, 3)])
    grouping = EachToken().of(packed)
    assert grouping.of_token is None
    assert grouping.segments is packed.segments
    values = torch.rand(7)
    assert torch.equal(grouping.average(values), values)


def test_averages_are_those_of_each_group():
    grouping = AxisGroups(axes=(0,)).of(batch([(2, 2), (1, 3)]))
    assert grouping.average(torch.tensor([1.0, 3, 5, 9, 1, 1, 4])).tolist() == [2, 7, 2]


@pytest.mark.parametrize("axes", [(), (2,), (-3,)], ids=str)
def test_axes_that_do_not_exist_are_refused(axes):
    with pytest.raises(BadConfig, match=r"mask\.groups\.axes .* expected integers from 0 to 1"):
        AxisGroups(axes=axes).of(batch([(2, 2)]))
