"""Numbers that are not known: no loss, no statistic and no picture looks at them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.losses import (
    AbsoluteLoss,
    ChamferLoss,
    CosineLoss,
    SmoothLoss,
    SquaredLoss,
    mean_known,
)
from anymae.targets import Content
from anymae.tokens import OBSERVED

from .toys import Toy, batch, model

PLAIN = [SquaredLoss(), AbsoluteLoss(), SmoothLoss(), CosineLoss(power=2)]


def some_known(count: int, width: int, seed: int) -> torch.Tensor:
    known = torch.rand(count, width, generator=torch.Generator().manual_seed(seed)) < 0.6
    known[:, 0] = True
    return known


@pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.kind)
@given(st.integers(0, 50))
def test_a_loss_is_that_of_the_known_numbers(loss, seed):
    prediction, target = torch.randn(4, 6), torch.randn(4, 6)
    known = some_known(4, 6, seed)
    found = loss.per_token(prediction, target, known)
    for row in range(4):
        there = known[row]
        own = loss.per_token(prediction[row : row + 1, there], target[row : row + 1, there])
        torch.testing.assert_close(found[row], own[0])


@pytest.mark.parametrize("loss", PLAIN, ids=lambda loss: loss.kind)
def test_no_gradient_reaches_what_is_not_known(loss):
    prediction = torch.randn(3, 5, requires_grad=True)
    known = some_known(3, 5, 1)
    loss.per_token(prediction, torch.randn(3, 5), known).sum().backward()
    assert not prediction.grad[~known].any()
    assert prediction.grad[known].any()


def test_a_token_with_nothing_known_costs_nothing():
    assert mean_known(torch.ones(1, 3), torch.zeros(1, 3, dtype=torch.bool)).tolist() == [0.0]


@given(st.integers(0, 50))
def test_normalised_content_uses_known_numbers_only(seed):
    packed = batch([(2, 2)], seed)
    known = some_known(4, 6, seed)
    shown = replace(packed, side={OBSERVED: known})
    found = Content(normalise="token").of(Toy(), shown)
    for row in range(4):
        own = packed.values[row, known[row]]
        if len(own) > 1:
            wanted = (own - own.mean()) / (own.var() + 1e-6).sqrt()
            torch.testing.assert_close(found[row, known[row]], wanted, rtol=1e-4, atol=1e-4)
    undone = Content(normalise="token").undo(found, packed.values, known)
    torch.testing.assert_close(undone, packed.values, rtol=1e-4, atol=1e-4)


def test_a_model_is_scored_on_what_is_known():
    net = model()
    packed = batch([(3, 3)])
    known = some_known(9, 6, 3)
    shown = replace(packed, side={OBSERVED: known})
    roles = net.recipe.mask.draw(shown)
    out = net(shown, roles)
    ask = roles.ask
    own = mean_known((out.prediction - out.target).square(), known[ask])
    torch.testing.assert_close(out.loss, own.sum())


# Cosine


def test_cosine_is_torchs_and_scaling_weighs_easy_tokens_down():
    prediction, target = torch.randn(5, 4), torch.randn(5, 4)
    plain = 1 - torch.nn.functional.cosine_similarity(prediction, target)
    torch.testing.assert_close(CosineLoss().per_token(prediction, target), plain)
    torch.testing.assert_close(CosineLoss(power=3).per_token(prediction, target), plain**3)
    same = CosineLoss(power=3).per_token(target, 7 * target)
    torch.testing.assert_close(same, torch.zeros(5), rtol=0, atol=1e-6)


# Chamfer


def brute_chamfer(ours: torch.Tensor, theirs: torch.Tensor, axes: int, norm: str) -> float:
    """Two sets (K, D) and (L, D), point by point."""

    def one_way(a: torch.Tensor, b: torch.Tensor) -> float:
        total = 0.0
        for point in a:
            apart = [float((point[:axes] - other[:axes]).square().sum()) for other in b]
            best = min(range(len(b)), key=apart.__getitem__)
            total += apart[best] if norm == "squared" else apart[best] ** 0.5
            if len(point) > axes:
                total += float((point[axes:] - b[best][axes:]).square().mean())
        return total / len(a)

    return one_way(ours, theirs) + one_way(theirs, ours)


@pytest.mark.parametrize("norm", ["squared", "euclidean"])
@pytest.mark.parametrize("features", [0, 2])
@given(st.integers(0, 20))
def test_chamfer_equals_point_by_point(norm, features, seed):
    draw = torch.Generator().manual_seed(seed)
    shape = (5, 3 + features)
    prediction, target = torch.randn(2, 2, *shape, generator=draw)
    count = [5, 3]
    known = torch.zeros(2, *shape, dtype=torch.bool)
    for row, n in enumerate(count):
        known[row, :n] = True
    loss = ChamferLoss(norm=norm)
    found = loss.per_token(prediction.flatten(1), target.flatten(1), known.flatten(1), shape)
    wanted = [
        brute_chamfer(prediction[row], target[row, :n], 3, norm) for row, n in enumerate(count)
    ]
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_chamfer_does_not_care_about_order_and_has_finite_gradients():
    prediction = torch.randn(3, 4, 3, requires_grad=True)
    target = prediction.detach()[:, [2, 0, 3, 1]]
    for norm in ("squared", "euclidean"):
        loss = ChamferLoss(norm=norm).per_token(
            prediction.flatten(1), target.flatten(1), None, (4, 3)
        )
        assert float(loss.detach().abs().max()) < 1e-5
        (gradient,) = torch.autograd.grad(loss.sum(), prediction)
        assert bool(gradient.isfinite().all())
