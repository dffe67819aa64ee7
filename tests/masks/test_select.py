"""select: the budget's members of lowest priority, exactly, as a loop over samples finds them."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.masks import select
from anymae.masks.select import complement

from ..toys import lengths, segments


def brute_force(priority: list[float], lengths: list[int], budget: list[int]) -> list[int]:
    chosen, start = [], 0
    for length, count in zip(lengths, budget, strict=True):
        order = np.argsort(np.array(priority[start : start + length]), kind="stable")
        chosen += sorted(start + int(i) for i in order[:count])
        start += length
    return chosen


@st.composite
def cases(draw):
    of = draw(lengths)
    budget = [draw(st.integers(0, n)) for n in of]
    if len(set(of)) == 1 and draw(st.booleans()):
        budget = [budget[0]] * len(of)
    few = draw(st.sampled_from([2, 1000]))  # few different values make ties
    priority = draw(st.lists(st.integers(-few, few), min_size=sum(of), max_size=sum(of)))
    return [p / 8 for p in priority], of, budget


@given(cases())
def test_select_equals_a_loop_over_samples(case):
    priority, of, budget = case
    chosen = select(torch.tensor(priority), segments(of), torch.tensor(budget))
    assert chosen.tolist() == brute_force(priority, of, budget)


@given(cases())
def test_the_complement_is_everything_else(case):
    priority, of, budget = case
    cut = segments(of)
    chosen = select(torch.tensor(priority), cut, torch.tensor(budget))
    rest, of_rest = complement(chosen, cut, segments(budget))
    assert rest.tolist() == sorted(set(range(sum(of))) - set(chosen.tolist()))
    assert of_rest.lengths.tolist() == [n - b for n, b in zip(of, budget, strict=True)]


def test_ties_go_to_the_earlier_member():
    for of in ([4, 4], [4, 3]):
        chosen = select(torch.zeros(sum(of)), segments(of), torch.tensor([2, 2]))
        assert chosen.tolist() == [0, 1, 4, 5]


def test_equal_and_ragged_paths_agree():
    priority = torch.rand(24)
    equal = select(priority, segments([8, 8, 8]), torch.tensor([3, 3, 3]))
    ragged = select(torch.cat([priority, torch.zeros(1)]), segments([8, 8, 8, 1]),
                    torch.tensor([3, 3, 3, 0]))  # fmt: skip
    assert torch.equal(equal, ragged)
