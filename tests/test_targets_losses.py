"""Targets and losses, against the formulas of the papers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anymae.errors import IncompatibleRecipe
from anymae.losses import (
    AbsoluteLoss,
    ContrastiveLoss,
    CrossEntropyLoss,
    EuclideanLoss,
    SmoothLoss,
    SquaredLoss,
)
from anymae.targets import Content

from .toys import Toy, batch

# Targets


def test_raw_content_is_the_tokens_values():
    packed = batch([(2, 3), (1, 2)])
    assert torch.equal(Content().of(Toy(), packed), packed.values)
    assert Content().width(Toy()) == 6


def test_normalised_content_has_unbiased_variance():
    packed = batch([(2, 3), (1, 2)])
    x = packed.values.double().numpy()
    variance = ((x - x.mean(1, keepdims=True)) ** 2).sum(1, keepdims=True) / (x.shape[1] - 1)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(variance + 1e-6)
    found = Content(normalise="token").of(Toy(), packed)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-5)


def test_a_constant_token_is_zero_not_nan():
    packed = batch([(1, 2)])
    packed.values[0] = 3.0
    found = Content(normalise="token").of(Toy(), packed)
    assert torch.equal(found[0], torch.zeros(6))


@pytest.mark.parametrize("normalise", ["none", "token"])
@given(st.integers(0, 99))
def test_undo_is_the_inverse(normalise, seed):
    packed = batch([(3, 3)], seed)
    target = Content(normalise=normalise)
    content = packed.values * 50 + 100
    packed.values.copy_(content)
    torch.testing.assert_close(target.undo(target.of(Toy(), packed), content), content)


def test_targets_are_float32_whatever_the_values_are():
    packed = batch([(2, 2)])
    half = packed.select(torch.arange(4), packed.segments)
    object.__setattr__(half, "values", half.values.bfloat16())
    assert Content(normalise="token").of(Toy(), half).dtype == torch.float32


def test_a_token_of_one_number_cannot_be_normalised():
    with pytest.raises(IncompatibleRecipe) as caught:
        Content(normalise="token").width(Toy(features=1))
    said = str(caught.value)
    assert "found token_dim 1" in said
    assert "Set target.normalise=none" in said
    assert Content().width(Toy(features=1)) == 1


# Losses

LOSSES = {
    "squared": (SquaredLoss(), F.mse_loss, {}),
    "absolute": (AbsoluteLoss(), F.l1_loss, {}),
    "smooth": (SmoothLoss(), F.smooth_l1_loss, {"beta": 1.0}),
    "smoother": (SmoothLoss(beta=0.3), F.smooth_l1_loss, {"beta": 0.3}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_torch(name):
    loss, functional, options = LOSSES[name]
    prediction, target = torch.randn(7, 5, requires_grad=True), torch.randn(7, 5)
    found = loss.per_token(prediction, target)
    wanted = functional(prediction, target, reduction="none", **options).mean(1)
    torch.testing.assert_close(found, wanted)
    pair = [torch.autograd.grad(x.sum(), prediction)[0] for x in (found, wanted)]
    torch.testing.assert_close(*pair)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_float32_for_half_predictions(name):
    loss, target = LOSSES[name][0], torch.randn(3, 4)
    prediction = torch.randn(3, 4).bfloat16()
    found = loss.per_token(prediction, target)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss.per_token(prediction.float(), target))


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing(name):
    target = torch.randn(3, 4)
    assert not LOSSES[name][0].per_token(target, target).any()


@pytest.mark.parametrize("beta", [0, -1])
def test_a_smooth_loss_has_a_width(beta):
    with pytest.raises(ValidationError):
        SmoothLoss(beta=beta)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_takes_probabilities(smoothing):
    logits, classes = torch.randn(5, 7), torch.randint(0, 7, (5,))
    target = F.one_hot(classes, 7).float()
    found = CrossEntropyLoss(smoothing=smoothing).per_token(logits, target)
    wanted = F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(found, wanted)


def test_cross_entropy_is_over_known_classes_only():
    logits, known = torch.randn(2, 5), torch.tensor([[1, 1, 1, 0, 0]] * 2).bool()
    target = F.one_hot(torch.tensor([2, 0]), 5).float()
    found = CrossEntropyLoss().per_token(logits, target, known)
    wanted = F.cross_entropy(logits[:, :3], torch.tensor([2, 0]), reduction="none")
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("rivals", [3, 256])
def test_contrast_is_among_rivals(rivals):
    prediction, target = torch.randn(7, 4), torch.randn(7, 4)
    found = ContrastiveLoss(temperature=0.3, rivals=rivals).per_token(prediction, target)
    for i in range(7):
        group = [j for j in range(7) if j // rivals == i // rivals]
        scores = torch.stack([F.cosine_similarity(prediction[i], target[j], 0) for j in group])
        wanted = -F.log_softmax(scores / 0.3, 0)[group.index(i)]
        torch.testing.assert_close(found[i], wanted)


@given(st.integers(0, 20))
def test_euclidean_is_the_length_of_the_known_difference(seed):
    draw = np.random.default_rng(seed)
    said, true = draw.normal(size=(2, 5, 7))
    known = draw.random((5, 7)) < 0.6
    found = EuclideanLoss().per_token(*map(torch.from_numpy, (said, true)), torch.from_numpy(known))
    np.testing.assert_allclose(found, np.linalg.norm((said - true) * known, axis=1), atol=2e-6)


def test_the_euclidean_gradient_is_the_direction_alone():
    said = torch.tensor([[3.0, 4.0], [300.0, 400.0], [0.0, 0.0]], requires_grad=True)
    EuclideanLoss().per_token(said, torch.zeros(3, 2)).sum().backward()
    torch.testing.assert_close(said.grad, torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]))
