"""Every recipe on every modality: each cell learns, or refuses by name what it lacks."""

import math

import pytest
import torch

import anymae
from anymae import draws
from anymae.errors import IncompatibleRecipe, MissingExtra
from anymae.model import Model
from anymae.training.arguments import adapter_of, encoder_of, recipe_of
from anymae.views import in_views

SMALL = {"encoder.width": 48, "encoder.depth": 2, "encoder.heads": 2}
STEPS = 12


OPTIONS = {("image", "satmae"): {"bands": [[0, 2], [1]]}}
"""Where what a recipe wants of a modality does not suit its examples."""


def fitted(modality: str, recipe: str = "mae"):
    try:
        adapter = adapter_of(modality, OPTIONS.get((modality, recipe), {}), recipe)
        return adapter.fit([adapter.example(i) for i in range(24)])
    except MissingExtra as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=sorted(anymae.modalities()))
def adapter(request):
    return fitted(request.param)


def own_settings(recipe: str) -> dict:
    """Where a recipe's numbers are too large for two dozen examples."""
    if recipe == "maskfeat3d":
        return {"decoder.depth": 2}
    return {"target.codes": 4} if recipe in ("beit2", "ccvit", "dino-sr", "mage") else {}


@pytest.mark.parametrize("name", sorted(anymae.recipes()))
def test_a_cell_learns_or_refuses(name, adapter):
    try:
        if anymae.recipes()[name].wanted("adapter"):
            adapter = fitted(adapter.name, name)
        recipe = recipe_of(name, adapter, None, {}, own_settings(name))
        net = Model(adapter, recipe, encoder_of("nano", adapter, name, SMALL), seed=1)
    except IncompatibleRecipe as refusal:
        said = str(refusal)
        assert adapter.name in said
        assert any(word in said for word in ("needs", "reads", "is always 0", "asks for")), said
        return
    losses = trained(net)
    assert all(math.isfinite(loss) for loss in losses)
    moving = {"ema", "staged"} & {recipe.teacher.kind}
    assert losses[-1] < (1.1 if moving else 0.97) * losses[0], losses


def trained(net: Model) -> list[float]:
    """Losses of a few steps on one batch of examples."""
    samples = [net.adapter.example(i) for i in range(12)]
    packed = net.adapter.batch_tokenize(samples).with_keys(
        torch.tensor([draws.key(i, "grid") for i in range(12)])
    )
    net.teacher = net.recipe.teacher.build(net)
    net.prepare(packed, 0)
    packed = in_views(packed, net.recipe.views)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=2e-3)
    losses = []
    for step in range(STEPS):
        roles = net.recipe.mask.draw(packed, net)
        output = net.train()(packed, roles)
        loss = output.loss / max(output.count, 1)
        for term in output.also:
            loss = loss + term.weight * term.sum / max(term.count, 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        net.learn(output.observed)
        if net.teacher is not None:
            net.recipe.teacher.follow(net.teacher, net, (step + 1) / STEPS, step / STEPS)
        losses.append(float(loss.detach()))
    return losses
