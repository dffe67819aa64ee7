"""Replaced content: nothing of the hidden token is left, and seen ones are untouched."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.corruption import Replace
from anymae.decoders import LinearDecoder
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.model import Model
from anymae.recipe import Recipe

from .toys import ENCODER, Toy, batch, shaken, shapes

KINDS = ["zeros", "noise", "other", "place"]
HALF = Mask(budget=RatioBudget(ratio=0.5))


def recipe(by: str) -> Recipe:
    return Recipe(
        name="x", paper="p", year=2020, summary="s", mask=HALF,
        corruption=Replace(by=by), decoder=LinearDecoder(),
    )  # fmt: skip


@pytest.mark.parametrize("by", KINDS)
@given(shapes, st.integers(0, 9))
def test_seen_tokens_keep_their_content(by, shapes, seed):
    packed = batch(shapes, seed)
    roles = HALF.draw(packed)
    made = Replace(by=by).values(packed, roles)
    assert torch.equal(made.values[roles.see], packed.values[roles.see])
    assert torch.equal(made.coords, packed.coords)
    assert bool(made.values.isfinite().all())


@pytest.mark.parametrize("by", ["zeros", "noise"])
def test_made_up_content_does_not_know_the_hidden(by):
    packed = batch([(4, 4), (3, 5)])
    roles = HALF.draw(packed)
    values = packed.values.clone()
    values[roles.hide] += 100.0
    other = Replace(by=by).values(replace(packed, values=values), roles)
    assert torch.equal(other.values, Replace(by=by).values(packed, roles).values)


def test_noise_has_the_data_s_mean_and_deviation():
    packed = batch([(30, 30)] * 4)
    shown = replace(packed, values=packed.values * torch.arange(1.0, 7) + 10)
    roles = HALF.draw(shown)
    made = Replace(by="noise").values(shown, roles).values[roles.hide]
    torch.testing.assert_close(made.mean(0), torch.full((6,), 10.0), rtol=0.05, atol=0.2)
    torch.testing.assert_close(made.std(0), torch.arange(1.0, 7), rtol=0.08, atol=0.02)


def test_a_place_is_filled_from_the_same_place_of_the_next_sample():
    packed = batch([(3, 3)] * 4)
    roles = HALF.draw(packed)
    made = Replace(by="place").values(packed, roles).values
    for place in roles.hide.tolist():
        assert torch.equal(made[place], packed.values[(place + 9) % 36])


def test_other_content_comes_from_the_batch_with_its_side_information():
    packed = batch([(3, 3)] * 4)
    packed = replace(packed, side={"energy": packed.values.sum(1)})
    roles = HALF.draw(packed)
    made = Replace(by="other").values(packed, roles)
    known = {tuple(row) for row in packed.values.tolist()}
    assert {tuple(row) for row in made.values.tolist()} <= known
    torch.testing.assert_close(made.side["energy"], made.values.sum(1))
    assert not torch.equal(made.values[roles.hide], packed.values[roles.hide])


@pytest.mark.parametrize("by", KINDS)
def test_a_model_predicts_what_was_there(by):
    net = shaken(Model(Toy(), recipe(by), ENCODER))
    packed = batch([(4, 4), (3, 3)])
    roles = HALF.draw(packed)
    output = net(packed, roles)
    assert torch.equal(output.target, packed.values[roles.ask])
    corrupted = Replace(by=by).values(packed, roles)
    latents = net.encode(corrupted)
    wanted = net.head(latents.tokens()[roles.ask], packed.coords[roles.ask])
    torch.testing.assert_close(output.prediction, wanted)
