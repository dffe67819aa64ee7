"""The plan: an epoch is a permutation, a rank has its share, a step is a function of itself."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymae.data.plan import Plan, share

sizes = st.integers(1, 40)


def drawn(plan: Plan) -> list[tuple[int, int]]:
    return [pair for step in range(plan.steps) for pair in plan.draw(step)]


@given(sizes, sizes, st.integers(1, 4), st.integers(0, 5))
def test_every_epoch_is_a_permutation(samples, batch, epochs, seed):
    pairs = drawn(Plan(samples, batch, samples * epochs, seed))
    for epoch in range(epochs):
        part = pairs[epoch * samples : (epoch + 1) * samples]
        assert {e for e, _ in part} == {epoch}
        assert sorted(i for _, i in part) == list(range(samples))


@given(sizes, sizes, st.integers(1, 100))
def test_only_the_last_batch_is_short(samples, batch, total):
    plan = Plan(samples, batch, total, 0)
    counts = [len(plan.draw(step)) for step in range(plan.steps)]
    assert plan.steps == math.ceil(total / batch)
    assert counts[:-1] == [batch] * (plan.steps - 1)
    assert counts[-1] == total - batch * (plan.steps - 1) > 0


@given(sizes, sizes, st.randoms(use_true_random=False))
def test_a_step_is_a_function_of_its_number(samples, batch, random):
    plan = Plan(samples, batch, 3 * samples, 1)
    wanted = [plan.draw(step) for step in range(plan.steps)]
    order = list(range(plan.steps))
    random.shuffle(order)
    fresh = Plan(samples, batch, 3 * samples, 1)
    assert {step: fresh.draw(step) for step in order} == dict(enumerate(wanted))


@given(sizes, st.integers(1, 40), st.integers(1, 40))
def test_the_order_does_not_depend_on_the_batch_size(samples, batch, other):
    plans = [Plan(samples, size, 2 * samples, 0) for size in (batch, other)]
    assert drawn(plans[0]) == drawn(plans[1])


def test_seeds_and_epochs_have_their_own_orders():
    first, other = (drawn(Plan(50, 10, 100, seed)) for seed in (0, 1))
    assert first != other
    assert [i for _, i in first[:50]] != [i for _, i in first[50:]]
    assert [i for _, i in first[:50]] != list(range(50))


@given(st.lists(st.integers(), max_size=50), st.integers(1, 60))
def test_ranks_share_a_batch_completely(items, world):
    parts = [share(items, rank, world) for rank in range(world)]
    assert [item for part in parts for item in part] == items
    counts = {len(part) for part in parts}
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_any_number_of_ranks_trains_on_the_same_samples(world):
    plan = Plan(20, 6, 40, 0)
    for step in range(plan.steps):
        together = [p for rank in range(world) for p in share(plan.draw(step), rank, world)]
        assert together == plan.draw(step)
