"""Spoiled content: noise of a known size, levels of random bins, and nothing else changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae import draws
from anymae.corruption import Corruption, Noise, Quantise
from anymae.decoders import LinearDecoder
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.tokens import OBSERVED

from .toys import ENCODER, Toy, batch, shaken, shapes

HALF = Mask(budget=RatioBudget(ratio=0.5))
KINDS = [Noise(), Quantise(bins=4)]
ids = {"ids": lambda part: part.kind}


def known(packed, seed: int = 0):
    """The batch with a third of its numbers unknown, holding nonsense there."""
    draw = torch.Generator().manual_seed(seed)
    observed = torch.rand(packed.values.shape, generator=draw) > 1 / 3
    values = torch.where(observed, packed.values, torch.tensor(1e6))
    return replace(packed, values=values, side={OBSERVED: observed})


@pytest.mark.parametrize("part", KINDS, **ids)
@given(shapes, st.integers(0, 9))
def test_only_known_numbers_of_hidden_tokens_change(part, shapes, seed):
    packed = known(batch(shapes, seed), seed)
    roles = HALF.draw(packed)
    made = part.values(packed, roles, (3, 2))
    changed = made.values != packed.values
    assert not changed[roles.see].any()
    assert not changed[~packed.side[OBSERVED]].any()
    assert torch.equal(made.coords, packed.coords)


@pytest.mark.parametrize("part", KINDS, **ids)
@given(shapes, st.integers(0, 9))
def test_a_sample_is_spoiled_without_its_batch_mates(part, shapes, seed):
    packed = known(batch(shapes, seed), seed)
    together = part.values(packed, HALF.draw(packed), (6,))
    for b in range(len(packed)):
        one = packed.slice(b, b + 1)
        alone = part.values(one, HALF.draw(one), (6,))
        assert torch.equal(alone.values, together.slice(b, b + 1).values)


@pytest.mark.parametrize("part", KINDS, **ids)
def test_other_keys_spoil_otherwise(part):
    packed = batch([(6, 6)])
    roles = HALF.draw(packed)
    first = part.values(packed, roles)
    again = part.values(packed.with_keys(packed.keys + 1), roles)
    assert not (first.values[roles.hide] == again.values[roles.hide]).any(1).all()


@pytest.mark.parametrize("part", KINDS, **ids)
def test_a_model_sees_it_and_predicts_what_was_there(part):
    made = Recipe(
        name="x", paper="p", year=2020, summary="s",
        mask=HALF, corruption=part, decoder=LinearDecoder(),
    )  # fmt: skip
    net = shaken(Model(Toy(), made, ENCODER))
    packed = batch([(4, 4), (3, 3)])
    roles = HALF.draw(packed)
    output = net(packed, roles)
    assert torch.equal(output.target, packed.values[roles.ask])
    latents = net.encode(part.values(packed, roles, (6,)))
    wanted = net.head(latents.tokens()[roles.ask], packed.coords[roles.ask])
    torch.testing.assert_close(output.prediction, wanted)


# Noise


def test_noise_is_normal_and_of_the_given_deviation():
    packed = batch([(20, 20)] * 6)
    roles = HALF.draw(packed)
    noise = (Noise(deviations=(0.3,)).values(packed, roles).values - packed.values)[roles.hide]
    noise = noise.flatten().double()
    assert abs(float(noise.mean())) < 4 * 0.3 / len(noise) ** 0.5
    torch.testing.assert_close(float(noise.std()), 0.3, rtol=0.03, atol=0)
    assert float((noise / 0.3).pow(4).mean()) == pytest.approx(3, rel=0.15)
    assert len(noise.unique()) > 0.99 * len(noise)


def test_each_sample_has_one_of_the_deviations():
    packed = batch([(10, 10)] * 60)
    roles = HALF.draw(packed)
    noise = (Noise(deviations=(0.1, 1.0)).values(packed, roles).values - packed.values)[roles.hide]
    sizes = noise.view(60, -1).std(1)
    strong = sizes > 0.5
    assert 15 < int(strong.sum()) < 45
    torch.testing.assert_close(sizes, torch.where(strong, 1.0, 0.1), rtol=0.2, atol=0)


@pytest.mark.parametrize("deviations", [(), (0.0,), (-1.0,)])
def test_noise_has_a_size(deviations):
    with pytest.raises(ValueError, match="deviations"):
        Noise(deviations=deviations)


# Quantisation


def levels(x: np.ndarray, cuts: np.ndarray, coin: np.ndarray) -> np.ndarray:
    """One channel of one sample, from the definition: bins between sorted random cuts of its
    range, and in each a random value."""
    edges = np.concatenate([[x.min()], np.sort(x.min() + cuts * (x.max() - x.min())), [x.max()]])
    value = edges[:-1] + coin * np.diff(edges)
    which = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(value) - 1)
    return value[which]


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 1, 3)], ids=str)
def test_a_number_becomes_a_random_one_of_its_bin(shape):
    packed = known(batch([(5, 5), (3, 7), (1, 2)]))
    roles = HALF.draw(packed)
    found, channels = Quantise(bins=4).values(packed, roles, shape).values, shape[-1]
    for b in range(len(packed)):
        rows = slice(int(packed.offsets[b]), int(packed.offsets[b + 1]))
        hidden = torch.zeros(packed.segments.total, dtype=torch.bool)
        hidden[roles.hide] = True
        for c in range(channels):
            seen = packed.side[OBSERVED][rows, c::channels]
            x = packed.values[rows, c::channels][seen].numpy()
            cuts = draws.uniform(packed.keys[b], torch.arange(3) + 3 * c, "quantise/edge")
            coin = draws.uniform(packed.keys[b], torch.arange(4) + 4 * c, "quantise/value")
            wanted = torch.from_numpy(levels(x, cuts.numpy(), coin.numpy()))
            inside = hidden[rows, None].expand_as(seen)[seen]
            mine = found[rows, c::channels][seen]
            torch.testing.assert_close(mine[inside], wanted[inside], rtol=1e-5, atol=1e-6)


def test_many_numbers_have_few_levels_in_their_order():
    packed = batch([(30, 30)])
    roles = HALF.draw(packed)
    made = Quantise(bins=8).values(packed, roles, (6,)).values[roles.hide]
    for before, after in zip(packed.values[roles.hide].T, made.T, strict=True):
        assert 2 < len(after.unique()) <= 8
        assert bool((after[before.argsort()].diff() >= 0).all())


def test_a_channel_without_range_stays():
    packed = batch([(3, 3)])
    packed = replace(packed, values=torch.full_like(packed.values, 2.5))
    made = Quantise().values(packed, HALF.draw(packed), (6,))
    assert torch.equal(made.values, packed.values)


def test_both_are_found_by_kind():
    assert Corruption.resolve({"kind": "noise", "deviations": [0.1, 0.2]}) == Noise(
        deviations=(0.1, 0.2)
    )
    assert Corruption.resolve("quantise") == Quantise(bins=8)
