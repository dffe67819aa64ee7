"""``anymae.pretrain``: from data and a modality to a trained model in a run folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch

from anymae import draws
from anymae.adapter import Adapter
from anymae.config import refuse_both, validated, with_overrides
from anymae.data.batches import read_batch
from anymae.data.sources import Source, Subset, open_source
from anymae.encoder import SIZES, EncoderConfig
from anymae.errors import BadConfig, BadInput, unknown_name
from anymae.model import Model
from anymae.precision import resolve
from anymae.recipe import Recipe
from anymae.registry import modality as modality_named
from anymae.registry import recipe as recipe_named
from anymae.storage import load_model, read_json, save_model, write_json
from anymae.tokens import Packed
from anymae.training.baselines import trivial
from anymae.training.checkpoint import Checkpoints
from anymae.training.defaults import resolved
from anymae.training.distributed import World, join
from anymae.training.history import write_history
from anymae.training.lock import owned
from anymae.training.progress import console
from anymae.training.run import Run, RunConfig
from anymae.training.trainer import Setup, Trainer

HELD_OUT_SAMPLES = 2048
"""Validation samples at most: enough for three digits of the loss."""
LOOKED_AT = 512
"""Samples on which trivial predictors are scored."""


def pretrain(
    dataset: Any,
    modality: str | Adapter | type[Adapter],
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

    ``dataset`` is anything CONTRACT-style sources read: arrays, torch and Hugging Face data sets,
    folders, globs, tar and Parquet shards. ``modality`` is a registered name, an adapter or its
    class. At most one of ``steps`` and ``epochs``, and of ``batch_size`` and ``batch_tokens``;
    what is not given follows the data and is printed. ``validation`` is a data set, or a fraction
    to hold out. ``out`` is the run folder (None: a new one under ``runs/``); with
    ``resume="auto"`` an unfinished run there is continued exactly. ``overrides`` are dotted
    recipe, encoder and training fields. Raises ``AnyMAEError`` subclasses only, for anything a
    user can get wrong.
    """
    refuse_both(steps=steps, epochs=epochs)
    refuse_both(batch_size=batch_size, batch_tokens=batch_tokens)
    _refuse_unlaunched(devices * nodes, strategy)
    given = {"steps": steps, "epochs": epochs, "batch_size": batch_size,
             "batch_tokens": batch_tokens, "lr": lr}  # fmt: skip
    world = join(device)
    adapter = _adapter(modality, modality_options or {})
    train, held_out = _split(open_source(dataset, adapter), validation, adapter, seed)
    adapter = adapter.fit(_Spread(train, adapter.fit_samples))
    method = _recipe(recipe, adapter, mask_ratio, given, overrides)
    encoder = _encoder(size, overrides)
    look = read_batch(train, adapter, _spread(len(train), 64), seed, "look")
    training = resolved(method.training, len(train), look.segments.total / len(look))
    model = Model(adapter, method.model_copy(update={"training": training}), encoder, seed=seed)
    config = RunConfig(
        model=model.config,
        seed=seed,
        precision=resolve(precision, world.device),
        validation=validation if isinstance(validation, float | None) else "given",
        data=train.fingerprint(),
    )
    folder = _folder(out, adapter, method, world)
    with ExitStack() as stack:
        if world.leads:
            stack.enter_context(owned(folder, console().print))
        finished = _claim(folder, config, resume, world)
        if finished is not None:
            return finished
        setup = _setup(model, config, world, train, held_out, look, folder)
        return _train(setup, resume)


# -- what the arguments mean -----------------------------------------------------------------


def _refuse_unlaunched(processes: int, strategy: str) -> None:
    if strategy not in ("auto", "ddp"):
        raise BadConfig("unknown strategy", found=repr(strategy), expected="'auto' or 'ddp'")
    import os

    if processes > 1 and int(os.environ.get("WORLD_SIZE", 1)) != processes:
        raise BadConfig(
            f"{processes} processes were asked for and not started",
            hint=f"Start the script with: torchrun --nproc-per-node={processes} ...",
        )


def _adapter(modality: Any, options: Mapping[str, Any]) -> Adapter:
    if isinstance(modality, Adapter):
        if options:
            raise BadConfig("modality_options cannot be given with an adapter instance")
        return modality
    if isinstance(modality, tuple | list):
        raise BadConfig("joint pretraining of several modalities is not available yet")
    kind = modality if isinstance(modality, type) else modality_named(modality)
    return validated(kind, options, "modality_options")


def _recipe(
    recipe: str | Recipe,
    adapter: Adapter,
    mask_ratio: float | None,
    given: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> Recipe:
    """The recipe with this modality's numbers, then the user's."""
    method = recipe if isinstance(recipe, Recipe) else recipe_named(recipe)
    method = with_overrides(method, adapter.numbers(method.name), f"recipe {method.name}")
    user = {k: v for k, v in overrides.items() if not k.startswith("encoder.")}
    user |= {f"training.{k}": v for k, v in given.items() if v is not None}
    method = with_overrides(method, user, f"recipe {method.name}")
    if mask_ratio is not None:
        method = method.model_copy(update={"mask": method.mask.with_ratio(mask_ratio)})
    method.check(adapter)
    return method


def _encoder(size: str | EncoderConfig, overrides: Mapping[str, Any]) -> EncoderConfig:
    if isinstance(size, str) and size not in SIZES:
        raise unknown_name("size", size, SIZES)
    config = SIZES[size] if isinstance(size, str) else size
    own = {k.removeprefix("encoder."): v for k, v in overrides.items() if k.startswith("encoder.")}
    return with_overrides(config, own, "encoder")


def _split(
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


class _Spread(Sequence):
    """At most ``limit`` samples of a source, evenly spaced, read when iterated."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source, self._indices = source, _spread(len(source), limit)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: Any) -> Any:
        return self._source[self._indices[i]]


def _spread(length: int, limit: int) -> list[int]:
    count = min(length, limit)
    return [i * length // count for i in range(count)]


# -- the run folder --------------------------------------------------------------------------


def _folder(out: str | Path | None, adapter: Adapter, method: Recipe, world: World) -> Path:
    if out is None and world.size > 1:
        raise BadConfig("out must be given where several processes train together")
    stamp = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    folder = Path(out) if out is not None else Path("runs") / f"{adapter.name}-{method.name}-{stamp}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig(
            f"out cannot be created: {error.strerror}", where=folder, hint="Choose another out."
        ) from None
    return folder


def _claim(folder: Path, config: RunConfig, resume: str, world: World) -> Run | None:
    """Check that the folder is new or this very run's; the finished run if it is one."""
    if resume not in ("auto", "never", "must"):
        raise unknown_name("resume", resume, ("auto", "never", "must"))
    path = folder / "config.json"
    exists = path.exists()
    world.barrier()
    if not exists:
        if resume == "must":
            raise BadConfig("there is no run to resume", where=folder)
        if world.leads:
            write_json(path, config)
        return None
    if resume == "never":
        raise BadConfig(
            "there is a run in this folder already",
            where=folder,
            hint="Choose another out, or resume='auto' to continue it.",
        )
    validated(RunConfig, read_json(path), str(path)).refuse_difference(config, folder)
    if not (folder / "model" / "config.json").exists():
        return None
    from anymae.training.history import read_history

    return Run(load_model(folder / "model"), read_history(folder / "history.csv"), folder)


# -- training --------------------------------------------------------------------------------


def _setup(
    model: Model,
    config: RunConfig,
    world: World,
    train: Source,
    held_out: Source | None,
    look: Packed,
    folder: Path,
) -> Setup:
    adapter, seed = model.adapter, config.seed
    sample = _in_batches(train, adapter, LOOKED_AT, seed, "trivial")
    checks = _in_batches(held_out, adapter, HELD_OUT_SAMPLES, seed, "held-out") if held_out else []
    return Setup(
        model=model,
        training=model.recipe.training,
        seed=seed,
        precision=config.precision,
        world=world,
        source=train,
        spare=look.slice(0, 1),
        trivial=trivial(model, sample),
        held_out=checks,
        trivial_held_out=trivial(model, checks) if checks else None,
        folder=folder,
    )


def _in_batches(source: Source, adapter: Adapter, limit: int, *purpose: Any) -> list[Packed]:
    indices = _spread(len(source), limit)
    return [
        read_batch(source, adapter, indices[start : start + 64], *purpose)
        for start in range(0, len(indices), 64)
    ]


def _train(setup: Setup, resume: str) -> Run:
    say = console().print if setup.world.leads else lambda text: None
    checkpoints = Checkpoints(setup.folder / "checkpoints", setup.training.keep, say)
    if setup.world.leads:
        checkpoints.clear_unfinished()
    trainer = Trainer(setup, checkpoints)
    if trainer.restore():
        say(f"continuing {setup.folder} after step {trainer.progress.step:,}")
    elif resume == "must":
        raise BadConfig("there is no checkpoint to resume from", where=setup.folder)
    else:
        say(_summary(setup, trainer))
    history = trainer.train()
    model = trainer.finished_model()
    if setup.world.leads:
        write_history(setup.folder / "history.csv", history)
        save_model(model, setup.folder / "model")
    setup.world.barrier()
    return Run(model, history, setup.folder)


def _summary(setup: Setup, trainer: Trainer) -> str:
    training, model = setup.training, setup.model
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    return (
        f"{model.modality} / {model.recipe.name}: {len(setup.source):,} samples, "
        f"{parameters:.1f} M parameters, {trainer.plan.steps:,} steps of {training.batch_size} "
        f"samples, lr {training.lr:.3g}, {setup.precision} on {setup.world.device}, "
        f"trivial loss {setup.trivial.best:.4f}, in {setup.folder}"
    )


