"""Line masks: a hidden token lies on a hidden line, and a seen one on none."""

import pytest
import torch

from anymae.errors import BadConfig
from anymae.masks import LinePriority, Mask, Priority
from anymae.masks.budgets import CountBudget, RatioBudget
from anymae.masks.groups import AxisGroups

from ..toys import batch


def hidden_maps(mask: Mask, shape: tuple[int, int], count: int) -> torch.Tensor:
    """(count, rows, columns) bool: what one mask hides in many samples of one shape."""
    packed = batch([shape] * count)
    hidden = torch.zeros(packed.segments.total, dtype=torch.bool)
    hidden[mask.draw(packed).hide] = True
    return hidden.view(count, *shape)


def test_it_has_a_name():
    assert Priority.resolve({"kind": "line", "axes": [1]}) == LinePriority(axes=(1,))


def test_what_is_seen_is_rows_by_columns_but_for_one_line():
    mask = Mask(priority=LinePriority(), budget=RatioBudget(ratio=0.75))
    for hidden in hidden_maps(mask, (16, 8), 200):
        seen = ~hidden
        assert int(seen.sum()) == 32
        rows, columns = seen.any(1), seen.any(0)
        # Of the box of seen rows by seen columns, tokens of one line at most are hidden.
        box = seen[rows][:, columns]
        gaps = ~box
        assert min(int(gaps.any(1).sum()), int(gaps.any(0).sum())) <= 1
        assert not rows.all() or not columns.all()


def test_both_axes_are_hidden_alike():
    mask = Mask(priority=LinePriority(), budget=RatioBudget(ratio=0.75))
    hidden = hidden_maps(mask, (12, 12), 1500)
    assert float((hidden.float().mean(0) - 0.75).abs().max()) < 0.06
    rows, columns = (float((~hidden).any(axis).float().mean()) for axis in (2, 1))
    assert abs(rows - columns) < 0.03
    assert 0.4 < rows < 0.62  # half of the rows and half of the columns, or a little more


@pytest.mark.parametrize("axis", [0, 1])
def test_one_axis_hides_whole_lines(axis):
    mask = Mask(priority=LinePriority(axes=(axis,)), budget=RatioBudget(ratio=0.5))
    hidden = hidden_maps(mask, (8, 8), 50)
    along = hidden.float().mean(2 - axis)
    assert set(along.flatten().tolist()) == {0.0, 1.0}
    assert along.sum(1).tolist() == [4.0] * 50


def test_the_line_that_fits_in_part_is_cut_at_random():
    mask = Mask(priority=LinePriority(axes=(0,)), budget=CountBudget(seen_count=3))
    seen = ~hidden_maps(mask, (4, 6), 2000)
    assert (seen.any(2).sum(1) == 1).all()
    share = seen.sum((0, 1)).float() / 2000
    assert float((share - 0.5).abs().max()) < 5 * (0.25 / 2000) ** 0.5


def test_samples_draw_their_own_lines():
    mask = Mask(priority=LinePriority(), budget=RatioBudget(ratio=0.75))
    assert len(hidden_maps(mask, (8, 8), 50).flatten(1).unique(dim=0)) > 45


def test_groups_take_the_mean_of_their_tokens():
    mask = Mask(
        priority=LinePriority(axes=(0,)),
        groups=AxisGroups(axes=(0,)),
        budget=RatioBudget(ratio=0.5),
    )
    hidden = hidden_maps(mask, (6, 4), 20)
    assert set(hidden.float().mean(2).flatten().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("axes", [(), (2,), (-1,)])
def test_axes_that_are_not_there_are_refused(axes):
    with pytest.raises(BadConfig, match=r"mask\.priority\.axes"):
        Mask(priority=LinePriority(axes=axes)).draw(batch([(3, 3)]))
