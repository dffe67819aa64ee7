"""The optimiser: decay groups, learning rates, the moving average, and a state that travels."""

import math
from itertools import pairwise

import pytest
import torch

from anymae.config import TrainingConfig
from anymae.training.optim import (
    Average,
    adamw,
    optimiser_tensors,
    peak_rate,
    rate,
    restore_optimiser,
)

from ..toys import batch, model


def step(net, optimiser, seed: int = 0) -> None:
    packed = batch([(3, 3), (2, 4)], seed)
    loss = net.train()(packed, net.recipe.mask.draw(packed)).loss
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def rates(peak: float = 1.0, count: int = 1001, **fields) -> list[float]:
    config = TrainingConfig(**fields)
    return [rate(config, peak, i / (count - 1)) for i in range(count)]


# Groups


def test_vectors_do_not_decay():
    net = model()
    decayed, free = adamw(net, TrainingConfig(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    named = {id(p): name for name, p in net.named_parameters()}
    vectors = {named[id(p)] for p in free["params"]}
    assert all(n.endswith("bias") or "norm" in n or n == "decoder.mask_token" for n in vectors)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert len(vectors) + len(decayed["params"]) == len(named)


def test_frozen_parameters_are_left_out():
    net = model()
    net.encoder.requires_grad_(False)
    groups = adamw(net, TrainingConfig()).param_groups
    frozen = {id(p) for p in net.encoder.parameters()}
    assert frozen.isdisjoint(id(p) for group in groups for p in group["params"])


# Learning rates


@pytest.mark.parametrize(
    ("fields", "batch_size", "wanted"),
    [
        ({"lr_scaling": "linear", "lr_batch": 256}, 256, 1e-4),
        ({"lr_scaling": "linear", "lr_batch": 256}, 4096, 16e-4),
        ({"lr_scaling": "linear", "lr_batch": 512}, 256, 0.5e-4),
        ({"lr_scaling": "sqrt", "lr_batch": 256}, 4096, 4e-4),
        ({"lr": 3e-3}, 4096, 3e-3),
    ],
    ids=["base", "linear", "reference", "sqrt", "given"],
)
def test_the_peak_follows_the_batch(fields, batch_size, wanted):
    assert peak_rate(TrainingConfig(**{"base_lr": 1e-4, **fields}), batch_size) == pytest.approx(
        wanted
    )


def test_cosine_rises_linearly_and_falls_as_a_cosine():
    found = rates(schedule="cosine", warmup=0.1, min_lr=0.2)
    assert found[0] == 0
    assert found[50] == pytest.approx(0.5)
    assert found[100] == pytest.approx(1)
    assert found[550] == pytest.approx(0.6)
    assert found[325] == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert found[1000] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(found[100:]))


def test_wsd_stays_and_then_falls_linearly():
    found = rates(schedule="wsd", warmup=0.1, decay=0.2, min_lr=0.1)
    assert found[50] == pytest.approx(0.5)
    assert found[100:801] == pytest.approx([1] * 701)
    assert found[900] == pytest.approx(0.55)
    assert found[1000] == pytest.approx(0.1)


def test_constant_stays():
    found = rates(schedule="constant", warmup=0.1)
    assert found[50] == pytest.approx(0.5)
    assert found[100:] == [1] * 901


@pytest.mark.parametrize("schedule", ["cosine", "wsd", "constant"])
def test_a_rate_without_warmup_starts_at_its_peak(schedule):
    found = rates(schedule=schedule, warmup=0, peak=0.3)
    assert found[0] == pytest.approx(0.3)
    assert all(0 <= r <= 0.3 + 1e-12 for r in found)


@pytest.mark.parametrize("schedule", ["cosine", "wsd", "constant"])
def test_rates_do_not_jump(schedule):
    found = rates(schedule=schedule, warmup=0.05)
    assert max(abs(a - b) for a, b in pairwise(found)) < 0.021


# The moving average


def test_the_average_is_the_formula():
    net = torch.nn.Linear(3, 2)
    average = Average(net, 0.9)
    wanted = net.weight.detach().clone()
    for update in range(1, 200):
        net.weight.data += torch.randn(2, 3)
        average.update(net, update)
        decay = min(0.9, (1 + update) / (10 + update))
        wanted = decay * wanted + (1 - decay) * net.weight.detach()
        torch.testing.assert_close(average.tensors["weight"], wanted)


def test_the_average_keeps_counters_as_they_are():
    net = torch.nn.BatchNorm1d(2)
    average = Average(net, 0.9)
    net.num_batches_tracked += 7
    average.update(net, 1)
    assert int(average.tensors["num_batches_tracked"]) == 7


def test_the_average_does_not_hold_the_weights_themselves():
    net = torch.nn.Linear(2, 2)
    average = Average(net, 0.5)
    before = average.tensors["weight"].clone()
    net.weight.data += 1
    assert torch.equal(average.tensors["weight"], before)


# State


def test_a_restored_optimiser_goes_on_bit_for_bit():
    straight, other = model(), model()
    first = adamw(straight, TrainingConfig())
    for group in first.param_groups:
        group["lr"] = 1e-2
    for i in range(3):
        step(straight, first, i)
    saved = {n: t.clone() for n, t in optimiser_tensors(first, straight).items()}
    other.load_state_dict(straight.state_dict())
    again = adamw(other, TrainingConfig())
    for group in again.param_groups:
        group["lr"] = 1e-2
    restore_optimiser(again, other, saved)
    for i in range(3, 6):
        step(straight, first, i)
        step(other, again, i)
    mine, theirs = straight.state_dict(), other.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_the_state_is_named_after_parameters():
    net = model()
    optimiser = adamw(net, TrainingConfig())
    step(net, optimiser)
    flat = optimiser_tensors(optimiser, net)
    names = {name for name, _ in net.named_parameters()}
    assert {key.split("/", 1)[1] for key in flat} == names
    assert {key.split("/", 1)[0] for key in flat} == {"exp_avg", "exp_avg_sq", "step"}
    assert flat["step/encoder.lead"].tolist() == [1]
    assert flat["exp_avg/encoder.lead"].shape == net.encoder.lead.shape
