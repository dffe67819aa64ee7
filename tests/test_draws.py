"""Draws: numbers that depend on what they are for, and on nothing else."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae import draws
from anymae.encoder import EncoderConfig
from anymae.model import Model
from anymae.recipes.pixels import MAE, SIMMIM

from .toys import Toy, batch, keys

MANY = 100_000
CLOSE = 5 / MANY**0.5
"""Five standard errors of a mean of numbers of variance 1."""
whole = st.integers(-(2**63), 2**63 - 1)


def global_states() -> list:
    # The legacy generator is the one nobody may touch.
    _, words, place, *normal = np.random.get_state()  # noqa: NPY002
    numbers = [words.tolist(), place, normal]
    return [torch.get_rng_state().tolist(), numbers, random.getstate()]


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1]))


def reference_bits(keys: np.ndarray, counters: np.ndarray, purpose: str) -> np.ndarray:
    """The same mixing in unsigned arithmetic, where shifts are logical by nature."""
    first, second = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
    with np.errstate(over="ignore"):
        x = keys.astype(np.uint64) + np.uint64(draws.key(purpose) & (2**64 - 1))
        x = x + counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * first
        x = (x ^ (x >> np.uint64(27))) * second
        x = x ^ (x >> np.uint64(31))
        x = (x ^ (x >> np.uint64(30))) * first
        return x ^ (x >> np.uint64(27))


# Keys


def test_keys_and_numbers_never_change_between_versions():
    assert draws.key(0, 1, "mask") == -1672686191551039828
    keys = torch.tensor([draws.key(0, 1, "mask")])
    assert draws.bits(keys, torch.arange(2), "mask").tolist() == [
        4355642028563332635,
        7535925888249374283,
    ]


def test_keys_differ_wherever_a_part_or_the_order_of_parts_does():
    grid = {draws.key(a, b, c) for a in range(20) for b in range(20) for c in range(50)}
    assert len(grid) == 20_000
    words = [(), (0,), (0, 0), (1,), (-1,), ("a",), ("a", 0), (0, "a"), ("b",), (2**62,)]
    assert len({draws.key(*parts) for parts in words}) == len(words)


@given(st.lists(st.one_of(whole, st.text(max_size=5)), max_size=4))
def test_a_key_is_a_signed_64_bit_function_of_its_parts(parts):
    key = draws.key(*parts)
    assert key == draws.key(*parts)
    assert int(torch.tensor(key)) == key


# Numbers


@given(st.lists(whole, min_size=1, max_size=5), st.lists(whole, min_size=1, max_size=5))
def test_bits_equal_unsigned_mixing(keys, counters):
    found = draws.bits(torch.tensor(keys)[:, None], torch.tensor(counters), "x")
    wanted = reference_bits(np.array(keys)[:, None], np.array(counters), "x")
    np.testing.assert_array_equal(found.numpy().astype(np.uint64), wanted)


@pytest.mark.parametrize("vary", ["counters", "keys"])
def test_uniform_numbers_are_uniform(vary):
    run, one = torch.arange(MANY), torch.tensor(7)
    u = draws.uniform(one, run, "a") if vary == "counters" else draws.uniform(run, one, "a")
    assert u.dtype == torch.float32
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    assert abs(float(u.mean()) - 1 / 2) < CLOSE * (1 / 12) ** 0.5
    assert abs(float(u.var()) - 1 / 12) < CLOSE * (1 / 180) ** 0.5
    counts = torch.bincount((u * 100).long(), minlength=100).double()
    chi_square = float(((counts - MANY / 100) ** 2 / (MANY / 100)).sum())
    assert chi_square < 99 + 5 * (2 * 99) ** 0.5


def test_the_largest_number_stays_below_one():
    top = torch.tensor((1 << 24) - 1).to(torch.float32) * 2.0**-24
    assert float(top) < 1


@pytest.mark.parametrize("apart", [1, 2, 64, 1 << 32])
def test_neighbouring_keys_and_counters_and_purposes_are_uncorrelated(apart):
    run, one = torch.arange(MANY), torch.tensor(3)
    u = draws.uniform(one, run, "a")
    assert correlation(u, draws.uniform(one + apart, run, "a")) < CLOSE
    assert correlation(u, draws.uniform(one, run + apart, "a")) < CLOSE
    assert correlation(u, draws.uniform(run + apart, one, "a")) < CLOSE
    assert correlation(u, draws.uniform(one, run, f"a{apart}")) < CLOSE
    by_key = draws.uniform(run, one, "a")
    assert correlation(by_key, draws.uniform(run + apart, one, "a")) < CLOSE


def test_normal_numbers_are_normal():
    x = draws.normal(torch.tensor(5), torch.arange(MANY), "n").double()
    assert bool(torch.isfinite(x).all())
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((x**power).mean()) - moment) < CLOSE * spread**0.5


@given(st.integers(1, 6), st.integers(1, 9), st.data())
def test_a_slice_of_a_batch_draws_the_same(rows, columns, data):
    of, counters = keys(rows)[:, None], torch.arange(columns)
    a, b = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    for law in (draws.uniform, draws.normal):
        everything = law(of, counters, "s")
        assert everything.shape == (rows, columns)
        assert torch.equal(law(of[a:], counters[b:], "s"), everything[a:, b:])


# Generators


def test_a_generator_is_a_function_of_its_parts():
    first, same = (draws.generator(1, "crop") for _ in range(2))
    other = draws.generator(1, "flip")
    drawn = [torch.rand(8, generator=g) for g in (first, same, other)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# Global generators are nobody's


@pytest.mark.parametrize("recipe", [MAE, SIMMIM], ids=lambda r: r.name)
def test_a_whole_step_leaves_the_global_generators_alone(recipe):
    before = global_states()
    model = Model(Toy(), recipe, EncoderConfig(width=16, depth=3, heads=2, drop_path=0.5))
    packed = batch([(4, 4), (3, 5)])
    out = model.train()(packed, model.recipe.mask.draw(packed))
    out.loss.backward()
    assert global_states() == before


def test_weights_are_a_function_of_the_seed_alone():
    encoder = EncoderConfig(width=16, depth=1, heads=2)
    first = Model(Toy(), MAE, encoder, seed=3).state_dict()
    torch.manual_seed(99)
    again = Model(Toy(), MAE, encoder, seed=3).state_dict()
    other = Model(Toy(), MAE, encoder, seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    matrices = [name for name in first if first[name].ndim > 1 and "norm" not in name]
    assert not any(torch.equal(first[name], other[name]) for name in matrices)
