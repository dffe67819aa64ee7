"""What a recipe wants of the modality's options and of the encoder, and who overrides it."""

from typing import Any

import pytest
from pydantic import ValidationError

import anymae
from anymae.cli.catalogue import recipe_page
from anymae.encoder import SIZES, EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.training.arguments import adapter_of, encoder_of, recipe_of, refuse_unknown

from ..toys import Toy, batch, shaken
from .small import pretrain

PIXELS, PITS = anymae.recipes()["pixel-transformer"], anymae.recipes()["pits"]


class Together(Toy):
    name = "together"

    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"encoder.layout": "full", "encoder.window": (None,), "encoder.drop_path": 0.1}


def wanting(**settings) -> Recipe:
    dotted = {key.replace("_", ".", 1): value for key, value in settings.items()}
    return Recipe(name="x", paper="p", year=2020, summary="s", settings=dotted)


def test_a_recipe_sets_options_that_the_user_overrides():
    assert adapter_of("image", {}, "pixel-transformer").patch_size == (1, 1)
    assert adapter_of("image", {"patch_size": 2}, "pixel-transformer").patch_size == (2, 2)
    assert adapter_of("image", {}).patch_size is None


def test_an_adapter_keeps_what_was_set_on_it():
    image = anymae.modalities()["image"]
    assert adapter_of(image(flip=False), {}, PIXELS).patch_size == (1, 1)
    assert adapter_of(image(flip=False), {}, PIXELS).flip is False
    assert adapter_of(image(patch_size=4), {}, PIXELS).patch_size == (4, 4)
    fitted = image().fit([image().example(0)])
    assert adapter_of(fitted, {}, PIXELS) == fitted


@pytest.mark.parametrize("modality", ["tabular", "audio", ("image", "audio")])
def test_a_modality_without_the_option_is_refused_by_name(modality):
    name = "joint" if isinstance(modality, tuple) else modality
    said = f"'pixel-transformer' needs modality_options patch_size=1, which the {name} modality"
    with pytest.raises(IncompatibleRecipe, match=said):
        adapter_of(modality, {}, "pixel-transformer")


def test_a_model_of_such_a_modality_is_refused_too():
    with pytest.raises(IncompatibleRecipe, match=r"needs modality_options patch_size=1.*toy"):
        Model(Toy(), PIXELS, EncoderConfig(width=16, depth=1, heads=1))
    assert "image" in PIXELS.works_with
    assert "tabular" not in PIXELS.works_with


def test_settings_are_of_the_adapter_or_the_encoder():
    with pytest.raises(ValidationError, match="must begin with adapter"):
        wanting(mask_ratio=0.5)
    with pytest.raises(BadConfig, match="unknown setting"):
        refuse_unknown({"settings": {}}, ())


def test_whose_word_counts_about_the_encoder():
    """The modality's least, then the recipe's, the configuration's and the user's."""
    recipe = wanting(encoder_cls=True, encoder_registers=2)
    found = encoder_of("nano", Toy(), recipe, {})
    assert (found.cls, found.registers) == (True, 2)
    config = EncoderConfig(width=16, depth=2, heads=2, registers=1)
    assert encoder_of(config, Toy(), recipe, {}).registers == 1
    assert encoder_of(config, Toy(), recipe, {"encoder.registers": 3}).registers == 3
    pits = encoder_of("nano", Together(), "pits", {})
    assert (pits.layout, pits.window, pits.cls, pits.depth) == ("window", (1e-6,), False, 1)
    assert pits.drop_path == 0.1


@pytest.mark.parametrize("size", SIZES)
def test_deeper_encoders_have_as_many_weights(size):
    usual, deep = SIZES[size], encoder_of(size, Toy(), "bamboo", {})
    assert deep.depth == 2 * usual.depth
    assert deep.width == 32 * deep.heads
    weights = [config.depth * config.width**2 for config in (usual, deep)]
    assert weights[1] == pytest.approx(weights[0], rel=0.12)
    if size == "base":
        assert (deep.depth, deep.width) == (24, 544)


def test_a_given_configuration_is_deepened_on_request_only():
    config = EncoderConfig(width=64, depth=2, heads=2)
    assert encoder_of(config, Toy(), "bamboo", {}) == config
    assert encoder_of(config, Toy(), "mae", {"encoder.deeper": 4}).depth == 8
    assert encoder_of("nano", Toy(), "bamboo", {"encoder.deeper": 1}) == SIZES["nano"]
    for wrong in (0, "two", True):
        with pytest.raises(BadConfig, match=r"encoder\.deeper must be a positive number"):
            encoder_of("nano", Toy(), "mae", {"encoder.deeper": wrong})


def test_settings_are_shown_and_saved(tmp_path):
    page = recipe_page([PIXELS], anymae.recipes()["mae"])
    assert "- settings: `adapter.patch_size=1`" in page
    assert Recipe.model_validate_json(PITS.model_dump_json()) == PITS
    run = pretrain(tmp_path / "run", recipe="pixel-transformer", steps=2)
    again = anymae.load(run.path)
    assert again.recipe.settings == {"adapter.patch_size": 1}
    assert again.adapter.patch_size == (1, 1)
    assert again.recipe.position.shape == (8, 8)


def test_pits_tokens_are_alone():
    """What one token holds changes no other's answer, though both are seen."""
    config = encoder_of("nano", Toy(), "pits", {})
    net = shaken(Model(Toy(), recipe_of("pits", Toy(), None, {}, {}), config))
    packed = batch([(3, 4)])
    roles = net.recipe.mask.draw(packed)
    before = net(packed, roles).prediction
    assert len(before) == 6
    packed.values[roles.see[0]] += 1
    changed = (net(packed, roles).prediction != before).any(1)
    assert changed.tolist() == [True] + 5 * [False]
