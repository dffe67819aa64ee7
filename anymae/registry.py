"""Find modalities and recipes by name; listing names imports no adapter.

Built-in modalities are the folders of ``anymae.modalities`` that hold an ``adapter.py``; other
packages join through the entry-point group ``anymae.adapters`` or ``@anymae.register``.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from anymae.adapter import Adapter
from anymae.errors import BadConfig, unknown_name
from anymae.recipe import Recipe

AdapterT = TypeVar("AdapterT", bound=type[Adapter])

GROUP = "anymae.adapters"
_BUILT_IN = "anymae.modalities"
_registered: dict[str, type[Adapter]] = {}


def register(cls: AdapterT) -> AdapterT:
    """Class decorator: make an adapter known under its ``name``. Raises ``BadConfig`` if another
    class has that name."""
    taken = _registered.get(cls.name)
    same = taken is not None and (taken.__module__, taken.__qualname__) == (
        cls.__module__,
        cls.__qualname__,
    )
    if taken is not None and not same:
        raise BadConfig(
            f"two adapters claim the modality {cls.name!r}",
            found=f"{taken.__module__}.{taken.__name__} and {cls.__module__}.{cls.__name__}",
        )
    _registered[cls.name] = cls
    return cls


class Modalities(Mapping[str, type[Adapter]]):
    """A read-only mapping from name to adapter class; classes are imported when looked up."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*_registered, *_built_in_names(), *_entry_points()}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> type[Adapter]:
        if name in _registered:
            return _registered[name]
        if name in _built_in_names():
            importlib.import_module(f"{_BUILT_IN}.{name}.adapter")
            return _registered[name]
        if name in _entry_points():
            return register(_entry_points()[name].load())
        raise KeyError(name)


def modalities() -> Modalities:
    """All modalities that can be used here: ``{name: Adapter class}``."""
    return Modalities()


def modality(name: str) -> type[Adapter]:
    """The adapter class of a modality. Raises ``BadConfig`` with the nearest known name."""
    if name == "joint":  # no modality of its own, but what checkpoints of several call themselves
        return importlib.import_module("anymae.joint").JointAdapter
    try:
        return modalities()[name]
    except KeyError:
        raise unknown_name("modality", name, modalities()) from None


@cache
def _built_in_names() -> frozenset[str]:
    package = importlib.import_module(_BUILT_IN)
    return frozenset(
        info.name
        for info in pkgutil.iter_modules(package.__path__)
        if info.ispkg
        and any((Path(p) / info.name / "adapter.py").exists() for p in package.__path__)
    )


@cache
def _entry_points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found or point.name in _built_in_names():
            warnings.warn(
                f"two packages claim the modality {point.name!r}; the first is used", stacklevel=2
            )
            continue
        found[point.name] = point
    return found


@cache
def recipes() -> dict[str, Recipe]:
    """All published recipes by name, core ones first, then those of single modalities."""
    found: dict[str, Recipe] = {}
    for module in _recipe_modules():
        for recipe in getattr(module, "RECIPES", ()):
            if recipe.name in found:
                raise BadConfig(f"two recipes claim the name {recipe.name!r}")
            found[recipe.name] = recipe
    return found


def _recipe_modules() -> Iterator[ModuleType]:
    package = importlib.import_module("anymae.recipes")
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"anymae.recipes.{info.name}")
    for name in sorted(_built_in_names()):
        path = f"{_BUILT_IN}.{name}.recipes"
        if find_spec(path) is not None:
            yield importlib.import_module(path)


def recipe(name: str) -> Recipe:
    """A recipe by name. Raises ``BadConfig`` with the nearest known name."""
    known = recipes()
    if name not in known:
        raise unknown_name("recipe", name, known)
    return known[name]
