"""Trivial predictors, against loops over samples."""

import numpy as np
import pytest
import torch

from anymae.losses import CrossEntropyLoss
from anymae.masks import Mask
from anymae.recipes.pixels import MAE, SIMMIM
from anymae.targets import Codes, Prototypes
from anymae.training.baselines import Trivial, trivial

from ..toys import batch, model

RAW = MAE.model_copy(update={"target": SIMMIM.target})
RECIPES = {
    "mae": MAE,
    "raw": RAW,
    "simmim": SIMMIM,
    "half": RAW.model_copy(update={"mask": Mask(ask=0.5)}),
}
BATCHES = [batch([(4, 4), (3, 5), (1, 1)], 1), batch([(2, 2)], 2), batch([(4, 4)] * 3, 3)]


def by_hand(net) -> tuple[float, float]:
    """Both baselines from the definition, token by token."""
    tokens, roles = [], []
    for packed in BATCHES:
        target = net.recipe.target.of(net.adapter, packed).double().numpy()
        tokens.append([(tuple(c), t) for c, t in zip(packed.coords.tolist(), target, strict=True)])
        roles.append(net.recipe.mask.draw(packed))
    everything = [pair for some in tokens for pair in some]
    overall = np.mean([t for _, t in everything], axis=0)
    places = {}
    for place, target in everything:
        places.setdefault(place, [overall]).append(target)
    error = np.abs if net.recipe.loss.kind == "absolute" else np.square
    position, context, count = 0.0, 0.0, 0
    for packed, some, role in zip(BATCHES, tokens, roles, strict=True):
        owner, seen = packed.segments.ids("cpu").tolist(), set(role.see.tolist())
        for i in role.ask.tolist():
            place, target = some[i]
            mates = [some[j][1] for j in seen if owner[j] == owner[i]]
            others = (np.sum(places[place], axis=0) - target) / (len(places[place]) - 1)
            position += error(others - target).mean()
            context += error(np.mean(mates, axis=0) - target).mean()
            count += 1
    return position / count, context / count


@pytest.mark.parametrize("name", RECIPES)
def test_both_predictors_equal_a_loop(name):
    net = model(RECIPES[name])
    found = trivial(net, BATCHES)
    assert (found.position_mean, found.context_mean) == pytest.approx(by_hand(net), rel=1e-5)


@pytest.mark.parametrize(
    "target", [Codes(codes=4), Prototypes(layers=2, codes=4)], ids=lambda t: t.kind
)
def test_codes_are_guessed_by_how_often_they_occur(target):
    net = model(RAW.model_copy(update={"target": target, "loss": CrossEntropyLoss()}))
    packed = batch([(1, 2)] * 300)
    net.prepare(packed, 0)
    roles = net.recipe.mask.draw(packed)
    rows = torch.arange(len(packed.coords))
    scene = net.scene(packed, roles).about(rows, packed.segments, net.target_state)
    codes = target.of(net.adapter, packed, scene).unflatten(1, (-1, 4)).argmax(2)
    total = 0.0
    for i in roles.ask.tolist():
        place = (packed.coords == packed.coords[i]).all(1)
        place[i] = False
        for layer in range(codes.shape[1]):
            share = float((codes[place, layer] == codes[i, layer]).double().mean())
            total -= np.log(0.9 * share + 0.1 / 4) / codes.shape[1]
    found = trivial(net, [packed])
    assert found.position_mean == pytest.approx(total / len(roles.ask), rel=5e-3)
    assert found.best < np.log(4)


def test_the_cut_into_batches_does_not_matter():
    net = model(RAW)
    whole = batch([(4, 4), (3, 5), (2, 2)])
    parts = [whole.slice(i, i + 1) for i in range(3)]
    one, many = trivial(net, [whole]), trivial(net, parts)
    assert vars(one) == pytest.approx(vars(many), rel=1e-5)


def test_positions_that_say_everything_are_found_out():
    packed = batch([(3, 3)] * 400)
    packed.values.copy_(packed.coords.float().repeat(1, 3))
    found = trivial(model(RAW), [packed])
    assert found.position_mean < 1e-4 < 0.1 < found.context_mean
    assert found.best == found.position_mean


def test_places_that_no_two_tokens_share_say_nothing():
    packed = batch([(3, 3)] * 20)
    packed.coords.copy_(torch.arange(len(packed.coords)).repeat(2, 1).T)
    found = trivial(model(RAW), [packed])
    assert found.position_mean == pytest.approx(1, abs=0.2)


def test_samples_that_are_constant_are_found_out():
    packed = batch([(3, 3)] * 20)
    packed.values.copy_(torch.randn(20, 6)[packed.segments.ids("cpu")])
    found = trivial(model(RAW), [packed])
    assert found.context_mean < 1e-9 < 0.1 < found.position_mean
    assert found.best == found.context_mean


def test_explained_variance_is_zero_at_the_best_and_one_at_nothing():
    found = Trivial(position_mean=0.8, context_mean=0.5)
    assert found.best == 0.5
    assert found.explained(found.best) == 0
    assert found.explained(0.0) == 1
    assert found.explained(0.25) == 0.5
    assert found.explained(1.0) == -1
    assert Trivial(0.0, 0.5).explained(0.1) == 0


def test_nothing_asked_is_nothing_lost():
    assert trivial(model(RAW), [batch([(1, 1)])]) == Trivial(0.0, 0.0)
