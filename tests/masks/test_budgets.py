"""Budgets: how many are seen, at every length."""

from fractions import Fraction

import pytest
import torch
from pydantic import ValidationError

from anymae.masks.budgets import CountBudget, RatioBudget

EVERY = torch.arange(1, 300)
BUDGETS = [*(RatioBudget(ratio=r / 100) for r in range(1, 100, 7)), CountBudget(seen_count=5)]


@pytest.mark.parametrize(
    ("length", "ratio", "seen"),
    [
        (10, 0.9, 1),
        (100, 0.9, 10),
        (196, 0.75, 49),
        (64, 0.6, 25),
        (10, 0.7, 3),
        (100, 0.29, 71),
        (5, 0.75, 1),
    ],
)
def test_the_count_is_the_floor(length, ratio, seen):
    assert RatioBudget(ratio=ratio).seen(torch.tensor([length])).tolist() == [seen]


@pytest.mark.parametrize("percent", range(3, 100, 4))
def test_the_floor_is_that_of_exact_arithmetic(percent):
    exact = [int(n * (1 - Fraction(percent, 100))) for n in EVERY.tolist()]
    wanted = [min(max(k, 1), max(n - 1, 1)) for k, n in zip(exact, EVERY.tolist(), strict=True)]
    assert RatioBudget(ratio=percent / 100).seen(EVERY).tolist() == wanted


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_something_is_seen_and_something_hidden_at_every_length(budget):
    seen = budget.seen(EVERY)
    assert seen.dtype == torch.int64
    assert bool((seen >= 1).all())
    assert bool((EVERY - seen)[EVERY >= 2].ge(1).all())


def test_a_single_token_is_seen():
    for budget in BUDGETS:
        assert budget.seen(torch.tensor([1, 1])).tolist() == [1, 1]


def test_a_count_is_the_same_at_every_length():
    assert CountBudget(seen_count=5).seen(torch.tensor([100, 6, 5, 2])).tolist() == [5, 5, 4, 1]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_impossible_ratios_are_refused(ratio):
    with pytest.raises(ValidationError):
        RatioBudget(ratio=ratio)


def test_a_count_of_nothing_is_refused():
    with pytest.raises(ValidationError):
        CountBudget(seen_count=0)
