"""What the arguments of ``pretrain`` mean: adapter, recipe, encoder, and which data train."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from anymae import draws
from anymae.adapter import Adapter
from anymae.compatibility import check_options
from anymae.config import validated, with_overrides
from anymae.data.sources import Source, Subset, open_source
from anymae.encoder import SIZES, EncoderConfig
from anymae.errors import AnyMAEError, BadConfig, BadInput, unknown_name
from anymae.joint import JointAdapter
from anymae.recipe import Recipe
from anymae.registry import modality as modality_named
from anymae.registry import recipe as recipe_named


def refuse_unlaunched(processes: int) -> None:
    """Raise ``BadConfig`` if several processes are asked for and torchrun started others."""
    if processes > 1 and int(os.environ.get("WORLD_SIZE", 1)) != processes:
        raise BadConfig(
            f"{processes} processes were asked for and not started",
            hint=f"Start the script with: torchrun --nproc-per-node={processes} ...",
        )


def adapter_of(modality: Any, options: Mapping[str, Any], recipe: str | Recipe = "mae") -> Adapter:
    """The adapter of a name, a class or an instance, with the options that a recipe wants of it
    where the user's ``options``, or what was set on an instance, do not say otherwise. Raises
    ``BadConfig``, ``IncompatibleRecipe``."""
    method = _method(recipe)
    wanted = method.wanted("adapter")
    if isinstance(modality, tuple | list):
        joint = JointAdapter.of(modality, options)
        check_options(method, JointAdapter)
        return joint
    if isinstance(modality, Adapter):
        if options:
            raise BadConfig("modality_options cannot be given with an adapter instance")
        if not wanted:
            return modality
        kind, options = type(modality), modality.model_dump(exclude_unset=True)
    else:
        kind = modality if isinstance(modality, type) else modality_named(modality)
    check_options(method, kind)
    return validated(kind, wanted | dict(options), "modality_options")


def recipe_of(
    recipe: str | Recipe,
    adapter: Adapter,
    mask_ratio: float | None,
    given: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> Recipe:
    """A named recipe with this modality's numbers, or a recipe as it is; then the user's.
    Raises ``BadConfig``."""
    if isinstance(recipe, Recipe):
        method = recipe
    else:
        own = {k: v for k, v in adapter.numbers(recipe).items() if not k.startswith("encoder.")}
        method = with_overrides(recipe_named(recipe), own, f"recipe {recipe}")
    user = {k: v for k, v in overrides.items() if not k.startswith("encoder.")}
    user |= {f"training.{k}": v for k, v in given.items() if v is not None}
    method = with_overrides(method, user, f"recipe {method.name}")
    if mask_ratio is not None:
        method = method.model_copy(update={"mask": method.mask.with_ratio(mask_ratio)})
    return method


def encoder_of(
    size: str | EncoderConfig, adapter: Adapter, recipe: str | Recipe, overrides: Mapping[str, Any]
) -> EncoderConfig:
    """The encoder of a size's name or of a configuration, with this modality's settings for a named
    recipe and then the recipe's own, where the configuration does not say otherwise; then with the
    user's ``encoder.`` settings.

    ``encoder.deeper`` is none of its fields: it makes the encoder that many times as deep and so
    much narrower that its blocks have as many weights (see ``_deepened``).
    """
    if isinstance(size, str) and size not in SIZES:
        raise unknown_name("size", size, SIZES)
    config = SIZES[size] if isinstance(size, str) else size
    modality = _of_encoder(adapter.numbers(recipe) if isinstance(recipe, str) else {})
    said = set() if isinstance(size, str) else config.model_fields_set
    wanted = _method(recipe).wanted("encoder")
    if said & {"width", "depth", "heads"}:
        wanted.pop("deeper", None)
    own = {k: v for k, v in (modality | wanted).items() if k not in said}
    settings = own | _of_encoder(overrides)
    if "deeper" in settings:
        config = _deepened(config, settings.pop("deeper"))
    return with_overrides(config, settings, "encoder")


def _method(recipe: str | Recipe) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else recipe_named(recipe)


def _deepened(config: EncoderConfig, times: Any) -> EncoderConfig:
    """``times`` the depth at the width over the root of it, in heads of 32 numbers."""
    if isinstance(times, bool) or not isinstance(times, int | float) or times <= 0:
        raise BadConfig("encoder.deeper must be a positive number", found=repr(times))
    heads = max(1, round(config.width / math.sqrt(times) / 32))
    depth = max(1, round(config.depth * times))
    return config.model_copy(update={"width": 32 * heads, "heads": heads, "depth": depth})


def _of_encoder(settings: Mapping[str, Any]) -> dict[str, Any]:
    prefix = "encoder."
    return {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}


def split(
    source: Source, validation: Any, adapter: Adapter, seed: int
) -> tuple[Source, Source | None]:
    """Training and validation sources; a fraction is held out at random, by the seed."""
    if not len(source):
        raise BadInput("the data set is empty", found="0 samples")
    if validation is None or validation is False:
        return source, None
    if not isinstance(validation, int | float):
        return source, open_source(validation, adapter)
    if not 0 < validation < 1:
        raise BadConfig("validation must be a data set or a fraction", found=validation)
    order = torch.randperm(len(source), generator=draws.generator(seed, "validation")).tolist()
    held = math.ceil(len(source) * validation)
    if held >= len(source):
        raise BadConfig("validation leaves no sample to train on", found=f"{len(source)} samples")
    return Subset(source, sorted(order[held:])), Subset(source, sorted(order[:held]))


def path_of(dataset: Any) -> str | None:
    """A data set's path, if it is one."""
    return str(dataset) if isinstance(dataset, str | Path) else None


def fitted(adapter: Adapter, source: Source, *, skip_bad: bool) -> Adapter:
    """The adapter after a look at the data; an error names the sample it was looking at.

    With ``skip_bad`` a sample that cannot be read or understood is left out of the look (training
    will meet it, skip it and count it).
    """
    left_out: set[int] = set()
    while True:
        looked_at: list[int] = []
        try:
            return adapter.fit(_shown(source, adapter.fit_samples, left_out, looked_at))
        except AnyMAEError as error:
            if not looked_at:
                raise
            if not skip_bad:
                raise error.at(source.where(looked_at[0])) from None
            left_out.add(looked_at[0])


def _shown(source: Source, limit: int, left_out: set[int], looked_at: list[int]) -> Iterator[Any]:
    """Evenly spaced samples; ``looked_at`` holds the index of the one being looked at."""
    for index in spread(len(source), limit):
        if index not in left_out:
            looked_at[:] = [index]
            yield source[index]
            looked_at.clear()


def refuse_unknown(overrides: Mapping[str, Any], arguments: Iterable[str]) -> None:
    """Raise ``BadConfig`` for a setting that is neither a slot nor an argument's name."""
    slots = {*Recipe.model_fields, "encoder"} - {"settings"}
    for key in overrides:
        if key.split(".")[0] not in slots:
            raise unknown_name("setting", key, {*slots, *arguments})


def spread(length: int, limit: int) -> list[int]:
    """At most ``limit`` evenly spaced indices below ``length``."""
    count = min(length, limit)
    return [i * length // count for i in range(count)]
