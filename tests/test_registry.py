"""The registry: names are found lazily, claimed once, and answered helpfully."""

import subprocess
import sys
from typing import ClassVar

import pytest

from anymae import registry
from anymae.errors import BadConfig
from anymae.recipe import Recipe
from anymae.recipes.pixels import MAE, SIMMIM

from .toys import Toy


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """Whatever a test registers is forgotten, the built-in adapters excepted."""
    dict(registry.modalities())  # what is imported first in a test would be forgotten with it
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


class Point:
    """An installed package's entry point."""

    def __init__(self, name: str, target: type) -> None:
        self.name, self.target, self.loads = name, target, 0

    def load(self) -> type:
        self.loads += 1
        return self.target


def installed(monkeypatch, *points: Point) -> None:
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == "anymae.adapters" else ()
    )


class Smell(Toy):
    name: ClassVar[str] = "smell"


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_listing_imports_no_adapter_and_can_be_repeated():
    run(
        "import sys, anymae; adapter = 'anymae.modalities.image.adapter'\n"
        "for _ in range(2):\n"
        "    assert 'image' in list(anymae.modalities())\n"
        "    assert 'mae' in anymae.recipes()\n"
        "assert adapter not in sys.modules\n"
        "anymae.modalities()['image']\n"
        "assert adapter in sys.modules\n"
    )


def test_folders_of_the_package_do_not_hide_its_public_functions():
    import anymae.modalities.image.adapter
    import anymae.recipes.pixels

    assert anymae.modalities()["image"] is anymae.modalities.image.adapter.ImageAdapter
    assert anymae.recipes() is registry.recipes()
    assert anymae.recipes()["mae"] is anymae.recipes.pixels.MAE


def test_built_in_modalities_are_found_by_name():
    known = registry.modalities()
    assert known["image"].name == "image"
    assert "image" in known
    assert len(known) == len(list(known))
    assert list(known) == sorted(known)
    assert registry.modality("image") is known["image"]


def test_a_registered_adapter_is_known():
    assert registry.register(Smell) is Smell
    assert registry.modality("smell") is Smell
    assert "smell" in list(registry.modalities())
    registry.register(Smell)  # the same class again, as when a notebook cell is run twice


def test_two_adapters_cannot_claim_one_name():
    registry.register(Smell)

    class Other(Toy):
        name: ClassVar[str] = "smell"

    with pytest.raises(BadConfig) as caught:
        registry.register(Other)
    said = str(caught.value)
    assert "two adapters claim the modality 'smell'" in said
    assert "Smell and" in said
    assert "Other" in said
    assert registry.modality("smell") is Smell


def test_an_unknown_modality_is_answered_with_the_nearest():
    with pytest.raises(BadConfig, match=r"unknown modality 'imge'; .*Did you mean 'image'\?"):
        registry.modality("imge")
    with pytest.raises(KeyError):
        registry.modalities()["imge"]
    assert "imge" not in registry.modalities()


def test_installed_packages_join_and_are_loaded_when_used(monkeypatch):
    point = Point("smell", Smell)
    installed(monkeypatch, point)
    assert "smell" in list(registry.modalities())
    assert point.loads == 0
    assert registry.modality("smell") is Smell
    assert registry.modality("smell") is Smell
    assert point.loads == 1


def test_a_package_cannot_take_a_built_in_name(monkeypatch):
    installed(monkeypatch, Point("image", Smell))
    with pytest.warns(UserWarning, match="two packages claim the modality 'image'"):
        assert list(registry.modalities()).count("image") == 1
    assert registry.modality("image") is not Smell


def test_recipes_are_found_by_name():
    known = registry.recipes()
    assert known["mae"] == MAE
    assert known["simmim"] == SIMMIM
    assert all(name == recipe.name for name, recipe in known.items())
    assert all(isinstance(recipe, Recipe) for recipe in known.values())
    assert all(recipe.paper and recipe.year > 2000 for recipe in known.values())
    assert registry.recipe("mae") is known["mae"]


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(BadConfig, match=r"unknown recipe 'simmin'; .*Did you mean 'simmim'\?"):
        registry.recipe("simmin")


def test_two_recipes_cannot_claim_one_name(monkeypatch):
    class Module:
        RECIPES = (MAE, MAE)

    monkeypatch.setattr(registry, "_recipe_modules", lambda: [Module])
    with pytest.raises(BadConfig, match="two recipes claim the name 'mae'"):
        registry.recipes.__wrapped__()


def test_a_recipe_knows_where_it_works():
    assert "image" in MAE.works_with
    registry.register(Smell)
    assert "smell" in SIMMIM.works_with
