"""Decoders that know places only roughly (FlexPredict)."""

import numpy as np
import pytest
import torch

import anymae
from anymae import draws
from anymae.decoders import SelfDecoder
from anymae.model import Model
from anymae.recipe import Recipe

from .toys import ENCODER, Toy, batch, shaken


def built(noise: float) -> Model:
    recipe = Recipe(
        name="x", paper="p", year=2024, summary="s", decoder=SelfDecoder(depth=2, place_noise=noise)
    )
    return shaken(Model(Toy(), recipe, ENCODER))


@pytest.fixture
def packed():
    return batch([(4, 4), (3, 5), (1, 2)])


def said(net: Model, packed) -> torch.Tensor:
    return net(packed, net.recipe.mask.draw(packed)).prediction


def test_noise_enters_through_the_map_of_the_encoded(packed):
    """What the blocks are given differs by A n, n drawn for each asked token from its sample's
    key."""
    entered = []
    net = built(0.25).train()
    net.decoder.blocks[0].register_forward_pre_hook(lambda block, args: entered.append(args[0]))
    roles = net.recipe.mask.draw(packed)
    net(packed, roles)
    net.decoder.place_noise = 0.0
    net(packed, roles)
    apart = (entered[0] - entered[1]).detach().double().numpy()
    apart = apart[np.abs(apart).max(1) > 1e-7]  # seen tokens are where they are
    weight = net.decoder.embed.weight.detach().double().numpy()
    wanted = []
    for b, count in enumerate(roles.of_ask.lengths.tolist()):
        counters = torch.arange(count * ENCODER.width)
        noise = draws.normal(packed.keys[b].expand(len(counters)), counters, "decoder/place")
        wanted.append(0.25 * noise.double().numpy().reshape(count, -1) @ weight.T)
    np.testing.assert_allclose(apart, np.concatenate(wanted), atol=1e-5)


def test_the_shared_map_learns_from_the_noise(packed):
    """Its gradient differs from that without noise: it cannot learn to ignore it apart."""
    grads = []
    for noise in (0.0, 0.25):
        net = built(noise).train()
        net(packed, net.recipe.mask.draw(packed)).loss.backward()
        grads.append(net.decoder.embed.weight.grad)
    assert (grads[0] - grads[1]).abs().max() > 1e-3


def test_there_is_none_after_training(packed):
    clear, blurred = built(0.0), built(0.25)
    assert torch.equal(said(clear.eval(), packed), said(blurred.eval(), packed))
    assert not torch.equal(said(clear.train(), packed), said(blurred.train(), packed))


def test_a_sample_is_blurred_without_its_batch_mates(packed):
    net = built(0.25).train()
    together = said(net, packed)
    alone = torch.cat([said(net, packed.slice(b, b + 1)) for b in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_flexpredict_is_i_jepa_with_noisy_places():
    flex, jepa = (anymae.recipes()[name] for name in ("flexpredict", "i-jepa"))
    assert flex.decoder == SelfDecoder(place_noise=0.25)
    parts, theirs = dict(flex.parts), dict(jepa.parts)
    assert parts.pop("decoder") != theirs.pop("decoder")
    assert parts == theirs
