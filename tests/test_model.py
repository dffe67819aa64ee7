"""The model: what must hold of any masked autoencoder, whatever fills its slots."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymae.corruption import MaskToken
from anymae.decoders import CrossDecoder, LinearDecoder
from anymae.encoder import Latents
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.priorities import BlockPriority
from anymae.model import Model, ModelConfig, Output
from anymae.positions import TablePosition
from anymae.recipe import Recipe
from anymae.recipes.pixels import MAE, SIMMIM
from anymae.targets import Content
from anymae.tokens import Packed

from .toys import ENCODER, Toy, batch, model, shapes

CROSS = MAE.model_copy(update={"decoder": CrossDecoder()})
RECIPES = {
    "mae": MAE,
    "simmim": SIMMIM,
    "cross": CROSS,
    "boxes": CROSS.model_copy(update={"mask": Mask(priority=BlockPriority(), ask=0.5)}),
    "simmim-half": SIMMIM.model_copy(update={"mask": SIMMIM.mask.model_copy(update={"ask": 0.5})}),
    "mask-token": MAE.model_copy(update={"corruption": MaskToken()}),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


built = functools.cache(model)
"""A model that tests do not train, made once for each recipe."""


def run(net: Model, packed: Packed) -> tuple[Output, list[torch.Tensor]]:
    """One forward pass with the recipe's mask, and the loss of each asked token by sample."""
    roles = net.recipe.mask.draw(packed)
    out = net(packed, roles)
    tokens = net.recipe.loss.per_token(out.prediction, out.target)
    return out, list(tokens.split(roles.of_ask.lengths.tolist()))


def latents_of(net: Model, packed: Packed, roles) -> tuple[Latents, Output]:
    """What the encoder made on the way to the output."""
    kept = []
    hook = net.encoder.register_forward_hook(lambda _module, _inputs, made: kept.append(made))
    out = net(packed, roles)
    hook.remove()
    return kept[0], out


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


# A sample is alone with itself


@every_recipe
@given(shapes, st.randoms(use_true_random=False))
def test_a_samples_loss_does_not_depend_on_its_batch(recipe, shapes, random):
    net, packed = built(recipe), batch(shapes)
    with torch.no_grad():
        together = run(net, packed)[1]
        order = list(range(len(packed)))
        random.shuffle(order)
        parts = packed.split()
        shuffled = Packed.of([parts[i] for i in order]).with_keys(packed.keys[order])
        for i, moved in zip(order, run(net, shuffled)[1], strict=True):
            close(moved, together[i])
        for b in range(len(packed)):
            close(run(net, packed.slice(b, b + 1))[1][0], together[b])


@given(shapes)
def test_a_samples_features_do_not_depend_on_its_batch(shapes):
    net, packed = built(), batch(shapes)
    with torch.no_grad():
        together = net.encode(packed)
        tokens = together.tokens().split(packed.segments.lengths.tolist())
        for b in range(len(packed)):
            alone = net.encode(packed.slice(b, b + 1))
            close(alone.tokens(), tokens[b])
            close(alone.registers()[0], together.registers()[b])


@every_recipe
def test_an_equal_batch_is_a_ragged_batch_with_nothing_ragged(recipe):
    net = model(recipe)
    equal, odd = batch([(4, 4)] * 3), batch([(3, 5)], seed=9)
    mixed = Packed.of([*equal.split(), *odd.split()])
    mixed = mixed.with_keys(torch.cat([equal.keys, odd.keys]))
    with torch.no_grad():
        for a, b in zip(run(net, equal)[1], run(net, mixed)[1], strict=False):
            close(a, b)


@every_recipe
@settings(max_examples=8)
@given(shapes, st.data())
def test_micro_batches_sum_to_the_whole(recipe, shapes, data):
    net, packed = built(recipe), batch(shapes)
    whole, _ = run(net, packed)
    leaves = list(net.parameters())
    wanted = torch.autograd.grad(whole.loss, leaves, materialize_grads=True)
    cut = data.draw(st.integers(0, len(packed)))
    parts = [packed.slice(a, b) for a, b in ((0, cut), (cut, len(packed))) if a < b]
    made = [run(net, part)[0] for part in parts]
    assert sum(out.count for out in made) == whole.count
    close(sum(out.loss for out in made), whole.loss)
    total = sum(out.loss for out in made)
    found = torch.autograd.grad(total, leaves, materialize_grads=True)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


# Nothing leaks


@every_recipe
@given(shapes)
def test_hidden_content_reaches_neither_latents_nor_predictions(recipe, shapes):
    net, packed = built(recipe), batch(shapes)
    roles = recipe.mask.draw(packed)
    noise = packed.values.clone()
    noise[roles.hide] = 1e3 * torch.randn(len(roles.hide), 6)
    other = replace(packed, values=noise)
    with torch.no_grad():
        latents, out = latents_of(net, packed, roles)
        disturbed, again = latents_of(net, other, recipe.mask.draw(other))
    assert torch.equal(latents.x, disturbed.x)
    assert torch.equal(out.prediction, again.prediction)
    if len(roles.hide):
        assert not torch.equal(out.target, again.target)


@every_recipe
def test_seen_content_does_reach_the_predictions(recipe):
    net, packed = model(recipe), batch([(4, 4)])
    roles = recipe.mask.draw(packed)
    values = packed.values.clone()
    values[roles.see] += 1
    with torch.no_grad():
        before, after = net(packed, roles), net(replace(packed, values=values), roles)
    assert not torch.allclose(before.prediction, after.prediction, atol=1e-3)


def test_dropped_tokens_are_not_computed():
    net, packed = model(MAE), batch([(4, 4), (2, 5)])
    roles = MAE.mask.draw(packed)
    latents, _ = latents_of(net, packed, roles)
    assert len(latents.x) == len(roles.see) + 2
    assert latents.of_tokens.lengths.tolist() == roles.of_see.lengths.tolist()


# The loss


@every_recipe
def test_the_loss_is_a_sum_over_asked_tokens(recipe):
    net, packed = model(recipe), batch([(4, 4), (3, 5)])
    roles = recipe.mask.draw(packed)
    out, parts = run(net, packed)
    assert out.count == len(roles.ask) == len(out.prediction) == len(out.target)
    close(out.loss, torch.cat(parts).sum())
    asked = packed.values[roles.ask].numpy()
    if recipe.target.normalise == "token":
        spread = np.sqrt(asked.var(1, ddof=1, keepdims=True) + 1e-6)
        asked = (asked - asked.mean(1, keepdims=True)) / spread
    np.testing.assert_allclose(out.target.numpy(), asked, rtol=0, atol=1e-5)
    error = out.prediction.detach().numpy() - asked
    error = np.abs(error) if recipe.loss.kind == "absolute" else error**2
    assert float(out.loss.detach()) == pytest.approx(error.mean(1).sum(), rel=1e-5)


@pytest.mark.parametrize("recipe", [CROSS, SIMMIM], ids=["cross", "simmim"])
def test_asking_for_less_scores_fewer_of_the_same_answers(recipe):
    packed = batch([(4, 4), (3, 5), (1, 2)])
    net = model(recipe)
    everything, some = (Mask(ask=ask).draw(packed) for ask in (1.0, 0.4))
    with torch.no_grad():
        whole, part = net(packed, everything), net(packed, some)
    assert 0 < part.count < whole.count
    rows = [everything.ask.tolist().index(i) for i in some.ask.tolist()]
    close(part.prediction, whole.prediction[rows])
    assert torch.equal(part.target, whole.target[rows])


@every_recipe
def test_a_batch_in_which_nothing_is_hidden_costs_nothing(recipe):
    net, packed = model(recipe), batch([(1, 1), (1, 1)])
    out, _ = run(net, packed)
    assert out.count == 0
    assert float(out.loss.detach()) == 0
    out.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in net.parameters())


# Learning


@pytest.mark.parametrize("recipe", [MAE, SIMMIM, CROSS], ids=["mae", "simmim", "cross"])
@pytest.mark.parametrize("table", [False, True], ids=["sincos", "table"])
def test_every_parameter_gets_a_gradient(recipe, table):
    if table:
        recipe = recipe.model_copy(update={"position": TablePosition(shape=(4, 4))})
    net = model(recipe, ENCODER.model_copy(update={"registers": 1}))
    packed = batch([(4, 4)] * 4)
    net.train()(packed, recipe.mask.draw(packed)).loss.backward()
    dead = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@pytest.mark.parametrize("recipe", [MAE, SIMMIM, CROSS], ids=["mae", "simmim", "cross"])
def test_a_few_steps_lower_the_loss(recipe):
    net, packed = Model(Toy(), recipe, ENCODER), batch([(4, 4), (2, 5)])
    roles = recipe.mask.draw(packed)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        out = net.train()(packed, roles)
        optimiser.zero_grad()
        out.loss.backward()
        optimiser.step()
        losses.append(out.loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_bfloat16_comes_close_to_float32():
    net, packed = model(), batch([(4, 4), (2, 5)])
    roles = MAE.mask.draw(packed)
    with torch.no_grad():
        exact = net(packed, roles)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(packed, roles)
    assert rough.loss.dtype == torch.float32
    assert float(rough.loss) == pytest.approx(float(exact.loss), rel=0.02)


# What it is made of


def test_a_configuration_survives_json_and_rebuilds_the_model():
    for recipe in RECIPES.values():
        net = Model(Toy(features=4), recipe, ENCODER, seed=3)
        config = ModelConfig.model_validate_json(net.config.model_dump_json())
        assert config == net.config
        again = Model(Toy(**config.adapter), config.recipe, config.encoder, seed=3).state_dict()
        assert all(torch.equal(t, again[n]) for n, t in net.state_dict().items())
        assert again.keys() == net.state_dict().keys()


def test_a_model_knows_its_width_and_its_modality():
    assert model().width == 16
    assert model().modality == "toy"


def test_parts_that_do_not_fit_each_other_are_refused():
    odd = MAE.model_copy(update={"decoder": LinearDecoder()})
    with pytest.raises(IncompatibleRecipe) as caught:
        Model(Toy(), odd, ENCODER)
    said = str(caught.value)
    assert "decoder=linear reads hidden tokens from the encoder, but corruption=drop" in said
    assert "Use corruption=mask-token, or decoder=self" in said


def test_parts_that_do_not_fit_the_modality_are_refused():
    with pytest.raises(IncompatibleRecipe, match=r"target\.normalise=token on toy"):
        Model(Toy(features=1), MAE, ENCODER)

    class Timely(Content, kind="timely"):
        needs = frozenset({"time", "grid"})

    recipe = MAE.model_copy(update={"target": Timely()})
    try:
        with pytest.raises(IncompatibleRecipe) as caught:
            recipe.check(Toy())
    finally:
        del Content._kinds["timely"]
    said = str(caught.value)
    assert "recipe 'mae': target=timely needs time, which the toy modality does not have" in said
    assert recipe.needs == {"time", "grid"}


def test_a_recipe_lists_its_parts():
    slots = [
        "settings",
        "views",
        "position",
        "mask",
        "corruption",
        "decoder",
        "target",
        "loss",
        "teacher",
    ]
    assert list(MAE.parts) == [*slots, "also"]
    assert MAE.parts["target"] == Content(normalise="token")
    plain = Recipe(name="x", paper="p", year=2020, summary="s")
    assert plain.mask == Mask(budget=RatioBudget(ratio=0.75))


def test_a_batch_without_keys_is_refused_before_anything_is_computed():
    with pytest.raises(BadConfig, match="without keys"):
        MAE.mask.draw(replace(batch([(2, 2)]), keys=None))
