"""Recipes with a given teacher, on every modality, once there is one."""

import math

import pytest

import anymae
from anymae.errors import IncompatibleRecipe
from anymae.model import Model
from anymae.training.arguments import encoder_of, recipe_of

from .test_grid import SMALL, fitted, own_settings, trained

NAMES = sorted(name for name, recipe in anymae.recipes().items() if recipe.teacher.kind == "given")
LARGER = {"encoder.width": 64, "encoder.depth": 3, "encoder.heads": 2}


@pytest.fixture(scope="module", params=sorted(anymae.modalities()))
def adapter(request):
    return fitted(request.param)


@pytest.fixture(scope="module")
def first(adapter, tmp_path_factory):
    """A larger model of the same tokens."""
    recipe = recipe_of("mae", adapter, None, {}, {})
    net = Model(adapter, recipe, encoder_of("nano", adapter, "mae", LARGER), seed=2)
    return str(net.save(tmp_path_factory.mktemp("first") / "model"))


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_needs_a_path_and_learns_with_one(name, adapter, first):
    encoder = encoder_of("nano", adapter, name, SMALL)
    with pytest.raises(IncompatibleRecipe, match=f"needs a path.*{adapter.name}"):
        Model(adapter, recipe_of(name, adapter, None, {}, {}), encoder)
    settings = {"teacher.path": first, **own_settings(name)}
    recipe = recipe_of(name, adapter, None, {}, settings)
    teacher = recipe.teacher.fitted(adapter)
    losses = trained(Model(adapter, recipe.model_copy(update={"teacher": teacher}), encoder))
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.97 * losses[0], losses
