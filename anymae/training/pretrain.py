"""``anymae.pretrain``: from data and a modality to a trained model in a run folder."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from anymae.adapter import Adapter
from anymae.config import refuse_both
from anymae.encoder import EncoderConfig
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.storage import load_model, save_model
from anymae.training.arguments import refuse_unknown, refuse_unlaunched
from anymae.training.checkpoint import Checkpoints
from anymae.training.distributed import join
from anymae.training.folder import claim, clear_unfinished, open_folder
from anymae.training.history import read_history, write_history
from anymae.training.lock import owned
from anymae.training.preparing import prepare
from anymae.training.progress import notice
from anymae.training.run import Run
from anymae.training.setup import Setup
from anymae.training.sharding import refuse_unknown_strategy
from anymae.training.trainer import Trainer

Modality = str | Adapter | type[Adapter]


def pretrain(
    dataset: Any,
    modality: Modality | tuple[Modality, ...],
    recipe: str | Recipe = "mae",
    size: str | EncoderConfig = "small",
    *,
    steps: int | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    lr: float | None = None,
    mask_ratio: float | None = None,
    validation: Any = None,
    out: str | Path | None = None,
    resume: Literal["auto", "never", "must"] = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    modality_options: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Run:
    """Pretrain a masked autoencoder and return the finished run.

    ``dataset`` is an array, list, torch or Hugging Face data set, folder, glob, or tar or Parquet
    shards. ``modality`` is a registered name, an adapter or its class; or a tuple of these, whose
    data sets (a tuple, too) are aligned: sample i is entry i of each, None where it lacks one;
    ``modality_options`` are then a mapping each.

    At most one of ``steps`` and ``epochs``, and of ``batch_size`` and ``batch_tokens``;
    what is not given follows the data and is printed. ``validation`` is a data set, or a fraction
    to hold out. ``out`` is the run folder (None: a new one under ``runs/``); with
    ``resume="auto"`` an unfinished run there is continued exactly, from the beginning if it has no
    checkpoint yet; ``"must"`` refuses a folder without a run, ``"never"`` one with a run.
    ``overrides`` are dotted recipe, encoder and training fields. Raises ``AnyMAEError`` subclasses
    only, for anything a user can get wrong.
    """
    refuse_unknown(overrides, inspect.signature(pretrain).parameters)
    refuse_both(steps=steps, epochs=epochs)
    refuse_both(batch_size=batch_size, batch_tokens=batch_tokens)
    refuse_unlaunched(devices * nodes)
    refuse_unknown_strategy(strategy)
    given = {"steps": steps, "epochs": epochs, "batch_size": batch_size,
             "batch_tokens": batch_tokens, "lr": lr}  # fmt: skip
    world = join(device)
    prepared = prepare(
        dataset, modality, recipe, size, world=world, validation=validation, seed=seed,
        precision=precision, mask_ratio=mask_ratio, given=given, modality_options=modality_options,
        overrides=overrides,
    )  # fmt: skip
    model = prepared.model
    folder = open_folder(out, model.adapter, model.recipe, world)
    with ExitStack() as stack:
        with world.together():
            if world.leads:
                stack.enter_context(owned(folder, notice))
        shown = prepared.samples()
        if claim(folder, prepared.config, resume, world):
            history = read_history(folder / "history.csv")
            return Run(load_model(folder / "model"), history, folder, shown)
        return Run(*_train(prepared.set_up(world, folder, strategy), resume), folder, shown)


def _train(setup: Setup, resume: str) -> tuple[Model, list[dict[str, Any]]]:
    say = notice if setup.world.leads else lambda text: None
    with setup.world.together():
        if setup.world.leads:
            clear_unfinished(setup.folder)
    checkpoints = Checkpoints(setup.folder / "checkpoints", setup.training.keep, say)
    trainer = Trainer(setup, checkpoints)
    if trainer.restore():
        say(f"continuing {setup.folder} after step {trainer.progress.step:,}")
    else:
        if resume == "must":
            say(f"no checkpoint in {setup.folder} yet: starting from the beginning")
        say(_summary(setup, trainer))
    history = trainer.train()
    model = trainer.trained.finished()
    with setup.world.together():
        if setup.world.leads:
            write_history(setup.folder / "history.csv", history)
            save_model(model, setup.folder / "model")
    return model, history


def _summary(setup: Setup, trainer: Trainer) -> str:
    training, model = setup.training, setup.model
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    return (
        f"{model.modality} / {model.recipe.name}: {len(setup.source):,} samples, "
        f"{parameters:.1f} M parameters, {trainer.plan.steps:,} steps of {training.batch_size} "
        f"samples, lr {training.lr:.3g}, {setup.precision} on {setup.world.device}, "
        f"trivial loss {setup.trivial.best:.4f}, in {setup.folder}"
    )
