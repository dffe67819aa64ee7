"""From the arguments of ``pretrain`` to everything that makes a run, before a folder is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymae.data.batches import read_batch
from anymae.data.sources import Source, open_source
from anymae.encoder import EncoderConfig
from anymae.model import Model
from anymae.precision import resolve
from anymae.recipe import Recipe
from anymae.tokens import Packed
from anymae.training.arguments import adapter_of, encoder_of, fitted, path_of, recipe_of, split
from anymae.training.defaults import Resolved, resolved
from anymae.training.distributed import World
from anymae.training.looking import chosen, set_up, some_samples
from anymae.training.run import RunConfig
from anymae.training.setup import Setup
from anymae.training.sharding import chosen_strategy


@dataclass(frozen=True)
class Prepared:
    """A run with nothing left to choose: its data, its model before training, its configuration."""

    model: Model
    training: Resolved
    config: RunConfig
    train: Source
    held_out: Source | None
    look: Packed

    def samples(self) -> list[Any]:
        """A few held-out (or training) samples for pictures."""
        skip_bad = self.training.on_bad_sample == "skip"
        return some_samples(self.held_out or self.train, self.model.adapter, skip_bad)

    def set_up(self, world: World, folder: Path, strategy: str = "auto") -> Setup:
        """What a trainer needs. Raises ``BadConfig``, ``IncompatibleRecipe`` for a strategy."""
        return set_up(
            self.model,
            self.training,
            self.config,
            world,
            self.train,
            self.held_out,
            self.look,
            folder,
            chosen_strategy(strategy, self.model, world),
        )


def prepare(
    dataset: Any,
    modality: Any,
    recipe: str | Recipe,
    size: str | EncoderConfig,
    *,
    world: World,
    validation: Any,
    seed: int,
    precision: str,
    mask_ratio: float | None = None,
    given: Mapping[str, Any] | None = None,
    modality_options: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Prepared:
    """Look at the data and complete what depends on them. Raises what ``pretrain`` raises.

    ``given`` are training settings that have arguments of their own.
    """
    given, overrides = given or {}, overrides or {}
    adapter = adapter_of(modality, modality_options or {}, recipe)
    method = recipe_of(recipe, adapter, mask_ratio, given, overrides)
    encoder_of(size, adapter, recipe, overrides)  # what is wrong there is said before reading
    skip_bad = method.training.on_bad_sample == "skip"
    train, held_out = split(open_source(dataset, adapter), validation, adapter, seed)
    adapter = fitted(adapter, train, skip_bad=skip_bad)
    method = recipe_of(recipe, adapter, mask_ratio, given, overrides)
    encoder = encoder_of(size, adapter, recipe, overrides)
    look = read_batch(train, adapter, chosen(train, adapter, 64, skip_bad), seed, "look")
    training = resolved(method.training, len(train), look.segments.total / len(look))
    method = method.model_copy(update={"teacher": method.teacher.fitted(adapter)})
    model = Model(adapter, method.model_copy(update={"training": training}), encoder, seed=seed)
    held = validation if isinstance(validation, float | None) else path_of(validation) or "given"
    config = RunConfig(
        model=model.config,
        seed=seed,
        precision=resolve(precision, world.device),
        validation=held,
        data=train.fingerprint(),
        data_path=path_of(dataset),
    )
    return Prepared(model, training, config, train, held_out, look)
