"""A sample rebuilt from samples like it, and copies of one sample that should be alike (SimMTM)."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import anymae
from anymae.model import Model
from anymae.views import in_views

from .toys import ENCODER, Toy, batch, shaken
from .training.small import curve, cut_short, pretrain, weights

SIMMTM = anymae.recipes()["simmtm"]


def net() -> Model:
    return shaken(Model(Toy(), SIMMTM, ENCODER)).train()


@pytest.mark.parametrize("shapes", [[(2, 3)] * 4, [(2, 3), (1, 4), (3, 3)], [(2, 2)]])
def test_answers_are_what_like_samples_hold_at_the_place(shapes):
    model, packed = net(), batch(shapes)
    roles = model.recipe.mask.draw(packed)
    latents, _ = model._encode_masked(packed, roles)
    tokens = latents.tokens().detach().double().numpy()
    cut = packed.segments.offsets.tolist()
    samples = [tokens[a:b] for a, b in pairwise(cut)]
    means = torch.from_numpy(np.stack([one.mean(0) for one in samples])).float()
    codes = model.decoder.layers(means).detach().double().numpy()
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    wanted = []
    for b, sample in enumerate(samples):
        for place in range(len(sample)):
            who = [c for c in range(len(samples)) if c != b and len(samples[c]) > place]
            shares = np.exp([codes[b] @ codes[c] / 0.2 for c in who])
            mixed = sum(s * samples[c][place] for s, c in zip(shares, who, strict=True))
            wanted.append(mixed / shares.sum() if who else sample[place])
    wanted = model.head(torch.from_numpy(np.stack(wanted)).float(), None)
    torch.testing.assert_close(model(packed, roles).prediction, wanted, rtol=1e-4, atol=1e-4)


def test_a_token_itself_is_no_part_of_its_answer():
    model, packed = net(), batch([(2, 3)] * 3)
    roles = model.recipe.mask.draw(packed)
    latents, entered = model._encode_masked(packed, roles)
    latents.x.retain_grad()
    scene = model.scene(packed, roles)
    _, prediction, _ = model._answer(model, model.recipe, latents, entered, scene)
    direct = torch.autograd.grad(prediction[0].sum(), latents.x, retain_graph=True)[0]
    assert direct.view(3, 7, -1)[1:, 1].abs().min() > 0  # the same place elsewhere, after cls
    spread = direct.view(3, 7, -1)[0, 1:]  # through the similarity alone, by the mean
    torch.testing.assert_close(spread, spread[:1].expand_as(spread))


def test_copies_are_siblings():
    model = net()
    packed = in_views(batch([(2, 3), (1, 4)]), 3)
    output = model(packed, model.recipe.mask.draw(packed))
    goal = model.recipe.also[0]
    scene = model.scene(packed, model.recipe.mask.draw(packed))
    rows = scene.roles.in_scope("sample")
    numbers = goal.target.of(Toy(), packed, scene.about(*rows, None))
    assert numbers[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert (output.count, output.also[0].count) == (packed.segments.total, 6)


def test_what_is_like_a_sample_comes_to_speak_for_it():
    """Learning raises the share of copies among those a sample listens to."""
    model = net()
    packed = in_views(batch([(2, 3)] * 4, seed=3), 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)

    @torch.no_grad()
    def share() -> float:
        roles = model.recipe.mask.draw(packed)
        latents, _ = model._encode_masked(packed, roles)
        means = latents.tokens().view(12, 6, -1).mean(1)
        shares = model.decoder._shares(model.decoder.layers(means))
        own = torch.arange(12) % 4
        return float((shares * (own[:, None] == own)).sum(1).mean())

    before = share()
    for _ in range(60):
        output = model(packed, model.recipe.mask.draw(packed))
        optimiser.zero_grad()
        (output.loss / output.count + output.also[0].sum / 12).backward()
        optimiser.step()
    assert share() > before + 0.2


def test_a_run_cut_short_goes_on_as_if_it_was_not(tmp_path, monkeypatch):
    whole = pretrain(tmp_path / "a", recipe="simmtm")
    cut_short(monkeypatch, 7, lambda: pretrain(tmp_path / "b", recipe="simmtm"))
    again = pretrain(tmp_path / "b", recipe="simmtm")
    assert curve(again) == curve(whole)
    assert weights(again) == weights(whole)
