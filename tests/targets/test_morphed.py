"""Features averaged over merged groups, against loops over samples and groups."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae import draws
from anymae.losses import SmoothLoss
from anymae.targets.morphed import MorphedFeatures, merge

from ..toys import Toy, batch, shapes


def by_loops(x: np.ndarray, count: int, at_once: int) -> list[set[int]]:
    """The groups of bipartite soft matching, from its definition."""
    groups = [{i} for i in range(len(x))]
    while count > 0 and len(groups) > 1:
        means = np.stack([x[sorted(group)].mean(0) for group in groups])
        means = means / np.linalg.norm(means, axis=1, keepdims=True)
        alike = means[::2] @ means[1::2].T
        number = min(count, at_once, len(alike))
        for a in np.argsort(-alike.max(1), kind="stable")[:number]:
            groups[2 * int(alike[a].argmax()) + 1] |= groups[2 * a]
            groups[2 * a] = set()
        count -= number
        groups = [group for group in groups if group]
    return groups


@given(st.integers(1, 12), st.integers(0, 14), st.integers(1, 5), st.integers(0, 9))
def test_groups_are_those_of_bipartite_matching(length, count, at_once, seed):
    x = torch.randn(length, 4, generator=torch.Generator().manual_seed(seed))
    group = merge(x, count, at_once).tolist()
    # Groups are listed by the token that names them, as those that merge keep the other's place.
    found = {frozenset(i for i in range(length) if group[i] == name) for name in group}
    assert found == {frozenset(one) for one in by_loops(x.double().numpy(), count, at_once)}
    assert len(found) == max(length - count, 1)


def test_like_tokens_merge_first():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [1.0, 0.05]])
    assert merge(x, 1, 1).tolist() in ([0, 1, 3, 3], [3, 1, 2, 3])


@given(shapes, st.integers(0, 5))
def test_scores_compare_group_means_sample_by_sample(shapes, seed):
    target, packed = MorphedFeatures(schedules=2, rounds=4), batch(shapes, seed)
    draw = torch.Generator().manual_seed(seed)
    said, true = torch.randn(2, packed.segments.total, 5, generator=draw)
    loss = SmoothLoss(beta=2.0)
    found = target.score(Toy(), loss, said, true, packed)
    wanted = torch.zeros(len(said))
    for b, (a, c) in enumerate(zip(packed.offsets[:-1], packed.offsets[1:], strict=True)):
        for schedule in range(2):
            at = (packed.keys[b : b + 1], torch.tensor([schedule]))
            count = int(float(draws.uniform(*at, "morph/n")) * int(c - a))
            rounds = 1 + int(float(draws.uniform(*at, "morph/rounds")) * 4)
            groups = by_loops(true[a:c].double().numpy(), count, math.ceil(count / rounds))
            for group in groups:
                rows = a + torch.tensor(sorted(group))
                means = said[rows].mean(0, keepdim=True), true[rows].mean(0, keepdim=True)
                wanted[rows] += loss.per_token(*means) / 2
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_are_shared_within_a_group():
    target, packed = MorphedFeatures(schedules=1, rounds=1), batch([(4, 6)], 3)
    said = torch.randn(24, 3, requires_grad=True)
    true = torch.randn(24, 3)
    target.score(Toy(), SmoothLoss(), said, true, packed).sum().backward()
    group = target._groups(true, packed, 0)
    assert len(group.unique()) < 24
    for name in group.unique():
        rows = said.grad[group == name]
        torch.testing.assert_close(rows, rows[:1].expand_as(rows))


def test_no_token_is_no_loss():
    packed = batch([(1, 1)]).select(torch.arange(0), anymae.tokens.Segments.of_lengths([0]))
    nothing = torch.zeros(0, 3)
    assert MorphedFeatures().score(Toy(), SmoothLoss(), nothing, nothing, packed).shape == (0,)


@pytest.mark.parametrize(("name", "asked"), [("dtm", "all"), ("uta", "seen")])
def test_whom_the_recipes_ask(name, asked):
    recipe = anymae.recipes()[name]
    assert recipe.mask.asked == asked
    assert recipe.teacher.kind == "given"
