"""Priorities that follow where tokens are, and those that ask a model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.encoder import EncoderConfig
from anymae.masks import Mask
from anymae.masks.budgets import RampBudget, RangeBudget, RatioBudget
from anymae.masks.groups import EachToken, TubeGroups
from anymae.masks.places import FilteredPriority, NearestPriority, SpanPriority
from anymae.masks.watched import AttentionPriority
from anymae.model import Model
from anymae.recipes.pixels import MAE

from ..toys import Toy, batch, keys, shaken, shapes

PRIORITIES = [
    NearestPriority(),
    NearestPriority(hide=False, norm="box"),
    SpanPriority(axis=1, length=2),
    SpanPriority(axis=0, length=2, shared=True),
    FilteredPriority(),
]


def hidden(mask: Mask, packed) -> list[np.ndarray]:
    """Coordinates of the hidden tokens of each sample."""
    roles = mask.draw(packed)
    return [c.numpy() for c in packed.coords[roles.hide].split(roles.of_hide.lengths.tolist())]


@pytest.mark.parametrize("priority", PRIORITIES, ids=repr)
@given(shapes, st.integers(0, 9))
def test_a_sample_is_ordered_without_its_batch_mates(priority, shapes, seed):
    packed = batch(shapes, seed)
    whole = priority.of(packed, EachToken().of(packed))
    for b in range(len(packed)):
        one = packed.slice(b, b + 1)
        alone = priority.of(one, EachToken().of(one))
        span = slice(int(packed.offsets[b]), int(packed.offsets[b + 1]))
        torch.testing.assert_close(whole[span], alone, rtol=1e-4, atol=1e-4)


@given(st.integers(0, 50))
def test_the_hidden_are_nearest_to_one_of_them(seed):
    packed = batch([(8, 9)], seed)
    (gone,) = hidden(Mask(priority=NearestPriority(), budget=RatioBudget(ratio=0.4)), packed)
    everyone = packed.coords.numpy()
    rest = np.array([c for c in everyone if not (gone == c).all(1).any()])
    fits = [
        np.linalg.norm(gone - c, axis=1).max() <= np.linalg.norm(rest - c, axis=1).min() + 1e-6
        for c in gone
    ]
    assert any(fits)


@given(st.integers(0, 50))
def test_what_is_seen_can_be_a_box(seed):
    packed = batch([(8, 8)], seed)
    mask = Mask(priority=NearestPriority(hide=False, norm="box"), budget=RatioBudget(ratio=0.75))
    roles = mask.draw(packed)
    seen = packed.coords[roles.see].numpy()
    sides = seen.max(0) - seen.min(0) + 1
    assert len(seen) == 16
    # A box inside the sample that holds 16: cut short where it meets an edge, longer elsewhere.
    assert sides.prod() <= 40
    assert min(sides) >= 2


def test_runs_are_hidden_whole():
    packed = batch([(3, 60)])
    mask = Mask(priority=SpanPriority(axis=1, length=5), budget=RatioBudget(ratio=0.3))
    (gone,) = hidden(mask, packed)
    runs = []
    for row in range(3):
        columns = sorted(gone[gone[:, 0] == row, 1].tolist())
        cuts = [i for i, step in enumerate(np.diff(columns)) if step > 1]
        runs += [len(part) for part in np.split(columns, [c + 1 for c in cuts]) if len(part)]
    # One run may be cut by the budget, and two by the ends of each row.
    assert sum(length % 5 != 0 for length in runs) <= 7
    assert max(runs) >= 5
    rows = [set(gone[gone[:, 0] == row, 1].tolist()) for row in range(3)]
    assert rows[0] != rows[1]


def test_shared_runs_are_the_same_on_every_line():
    packed = batch([(4, 30)])
    span = SpanPriority(axis=1, length=3, shared=True)
    order = span.of(packed, EachToken().of(packed)).view(4, 30)
    assert bool((order == order[0]).all())


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.1), (0.1, 0.25), (0.3, 0.5)])
def test_filtered_noise_lives_in_its_band(low, high):
    packed = batch([(32, 32)] * 8)
    noise = FilteredPriority(low=low, high=high).of(packed, EachToken().of(packed))
    power = torch.fft.fft2(noise.view(8, 32, 32)).abs().square().mean(0)
    frequency = torch.fft.fftfreq(32)
    radius = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt()
    inside = (radius >= low - 0.04) & (radius <= high + 0.04)
    assert float(power[inside].sum() / power.sum()) > 0.8


def test_red_noise_leaves_patches_and_blue_spreads():
    packed = batch([(14, 14)] * 40)

    def company(priority) -> float:
        """The share of seen tokens with a seen neighbour on the right."""
        roles = Mask(priority=priority).draw(packed)
        seen = torch.zeros(packed.segments.total, dtype=torch.bool)
        seen[roles.see] = True
        grid = seen.view(40, 14, 14)
        return float((grid[:, :, 1:] & grid[:, :, :-1]).sum() / grid[:, :, :-1].sum())

    red, green = FilteredPriority(low=0, high=0.1), FilteredPriority(low=0.1, high=0.25)
    blue = FilteredPriority(low=0.35, high=0.5)
    assert company(red) > company(green) + 0.1 > company(blue) + 0.2


def test_a_tube_is_one_place_at_all_times():
    packed = batch([(4, 5), (2, 3)])
    for gone in hidden(Mask(groups=TubeGroups(), budget=RatioBudget(ratio=0.5)), packed):
        columns, counts = np.unique(gone[:, 1], return_counts=True)
        assert set(counts) == {len(np.unique(gone[:, 0]))}
        assert len(columns) > 0


# Budgets that change


@given(st.integers(0, 20))
def test_a_range_draws_each_samples_share(seed):
    packed = batch([(10, 10)] * 12, seed)
    roles = Mask(budget=RangeBudget(low=0.2, high=0.9)).draw(packed)
    shares = 1 - roles.of_see.lengths.double() / 100
    assert float(shares.min()) >= 0.2
    assert float(shares.max()) <= 0.9 + 1e-9
    assert len(shares.unique()) > 4
    alone = Mask(budget=RangeBudget(low=0.2, high=0.9)).draw(packed.slice(3, 4))
    assert alone.of_see.total == int(roles.of_see.lengths[3])


@pytest.mark.parametrize(("done", "seen"), [(0.0, 80), (0.5, 50), (1.0, 20)])
def test_a_ramp_follows_the_run(done, seen):
    net = Model(Toy(), MAE, EncoderConfig(width=16, depth=2, heads=2))
    net.done = done
    roles = Mask(budget=RampBudget(start=0.2, end=0.8)).draw(batch([(10, 10)]), net)
    assert roles.of_see.total == seen


# Attention


def dense_attention(net: Model, packed) -> torch.Tensor:
    """The class token's attention in the last block, sample by sample, from the definition."""
    parts = []
    for b in range(len(packed)):
        one = packed.slice(b, b + 1)
        entering = net.encode(one, (net.encoder.config.depth - 2,)).taps[0]
        block = net.encoder.blocks[-1]
        heads = block.attention.heads
        q, k, _ = block.attention.qkv(block.norm_1(entering)).unflatten(1, (3, heads, -1)).unbind(1)
        scores = torch.einsum("hd,khd->hk", q[0], k[1:]) / q.shape[-1] ** 0.5
        parts.append(scores.softmax(1).mean(0))
    return torch.cat(parts)


@given(shapes)
def test_attention_is_that_of_the_last_block(shapes):
    net = shaken(Model(Toy(), MAE, EncoderConfig(width=16, depth=3, heads=2)))
    packed = batch(shapes)
    torch.testing.assert_close(net.attention(packed), dense_attention(net, packed))


def test_what_is_attended_to_is_hidden_or_seen():
    net = shaken(Model(Toy(), MAE, EncoderConfig(width=16, depth=3, heads=2)))
    packed = batch([(6, 6)] * 4)
    share = net.attention(packed)
    for hide, sign in (("high", 1), ("low", -1)):
        roles = Mask(priority=AttentionPriority(hide=hide)).draw(packed, net)
        for b in range(4):
            see = share[roles.see[b * 9 : b * 9 + 9]]
            gone = share[roles.hide[b * 27 : b * 27 + 27]]
            assert (sign * see).max() <= (sign * gone).min()


def test_sampled_attention_follows_its_shares():
    share = torch.tensor([0.5, 0.3, 0.15, 0.05])

    class Fixed:
        done = 0.0

        def attention(self, packed):
            return share.repeat(len(packed))

    many = replace(batch([(1, 4)] * 4000), keys=keys(4000))
    roles = Mask(priority=AttentionPriority(hide="sampled")).draw(many, Fixed())
    first = torch.bincount(roles.see % 4, minlength=4) / 4000
    torch.testing.assert_close(first, share, rtol=0, atol=0.03)


def test_some_samples_are_masked_by_noise():
    net = shaken(Model(Toy(), MAE, EncoderConfig(width=16, depth=3, heads=2)))
    packed = batch([(4, 4)] * 60)
    always = Mask(priority=AttentionPriority()).draw(packed, net).see.view(60, 4)
    half = Mask(priority=AttentionPriority(random=0.5)).draw(packed, net).see.view(60, 4)
    same = int((always == half).all(1).sum())
    assert 15 < same < 45
