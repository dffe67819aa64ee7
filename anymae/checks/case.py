"""Case: one adapter under examination, and what its checks share.

Examples, tokens and small models are made once, when first needed.

Shapes: B samples, T tokens, F numbers a token.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from anymae import draws
from anymae.adapter import Adapter
from anymae.config import with_overrides
from anymae.encoder import EncoderConfig
from anymae.errors import AnyMAEError
from anymae.masks import Roles
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.registry import recipe as recipe_named
from anymae.tokens import Packed, Tokens
from anymae.training.arguments import encoder_of

EXAMPLES = 32
"""Examples an adapter is fitted and trained on."""
BATCH = 6
"""Examples of a batch that a model is given."""
ENCODER = EncoderConfig(width=64, depth=2, heads=2)


class BrokenPromise(AnyMAEError, AssertionError):
    """An adapter does not do what the core relies on. ``broken`` names every promise found broken
    by ``check_adapter``, in order."""

    broken: tuple[str, ...] = ()

    def at(self, where: object) -> BrokenPromise:
        """The same error with ``where`` put in front, and what caused it."""
        placed = super().at(where)
        assert isinstance(placed, BrokenPromise)
        placed.__cause__ = self.__cause__
        return placed


class NotAsked(Exception):
    """A check has nothing to check on this adapter; its text says why."""


class Case:
    """One adapter and what it makes of its own examples."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    @cached_property
    def examples(self) -> list[Any]:
        """``example(0)``, ``example(1)`` and so on."""
        return [self.adapter.example(seed) for seed in range(EXAMPLES)]

    @cached_property
    def fitted(self) -> Adapter:
        """The adapter after a look at the examples; every later check uses it."""
        return self.adapter.model_copy().fit(iter(self.examples))

    @cached_property
    def tokens(self) -> list[Tokens]:
        """The examples, each tokenized on its own."""
        return [self.fitted.tokenize(sample) for sample in self.examples]

    @cached_property
    def packed(self) -> Packed:
        """The first few examples as one batch."""
        return keyed(self.tokens[:BATCH])

    def has_own(self, method: str) -> bool:
        """Whether the adapter overrides a method that has a default."""
        return getattr(type(self.adapter), method) is not getattr(Adapter, method)

    def ask_for(self, method: str) -> None:
        """Raise ``NotAsked`` where the adapter leaves ``method`` as it is by default."""
        if not self.has_own(method):
            raise NotAsked(f"{method} is the default")

    def settings(self, recipe: str) -> dict[str, dict[str, Any]]:
        """The adapter's own numbers for a recipe: those of the ``recipe``, of the ``encoder``."""
        numbers = self.fitted.numbers(recipe)
        encoder = {
            key.removeprefix("encoder."): value
            for key, value in numbers.items()
            if key.startswith("encoder.")
        }
        others = {key: value for key, value in numbers.items() if not key.startswith("encoder.")}
        return {"recipe": others, "encoder": encoder}

    def recipe(self, name: str = "mae") -> Recipe:
        """A named recipe with the adapter's own numbers."""
        return with_overrides(
            recipe_named(name), self.settings(name)["recipe"], f"numbers({name!r})"
        )

    def model(self, recipe: str = "mae") -> Model:
        """A small new model in eval mode, its weights away from simple initial values."""
        encoder = encoder_of(ENCODER, self.fitted, recipe, {})
        model = Model(self.fitted, self.recipe(recipe), encoder)
        draw = draws.generator("checks", "weights")
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.05)
        return model.eval()

    def roles(self, packed: Packed) -> Roles:
        """What MAE, with the adapter's numbers, would show and ask of a batch."""
        return self.recipe().mask.draw(packed)


def keyed(samples: list[Tokens]) -> Packed:
    """A batch with keys, the same every time."""
    keys = [draws.key("checks", place) for place in range(len(samples))]
    return Packed.of(samples).with_keys(torch.tensor(keys))
