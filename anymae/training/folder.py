"""The run folder: made, or recognised as this very run's."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from anymae.adapter import Adapter
from anymae.errors import BadConfig, unknown_name
from anymae.recipe import Recipe
from anymae.storage import write_json
from anymae.training.distributed import World
from anymae.training.run import RunConfig, read_run_config


def open_folder(out: str | Path | None, adapter: Adapter, method: Recipe, world: World) -> Path:
    """The run folder, made if need be; a new one under ``runs/`` where ``out`` is None.
    Raises ``BadConfig``."""
    if out is None and world.size > 1:
        raise BadConfig("out must be given where several processes train together")
    stamp = f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    folder = (
        Path(out) if out is not None else Path("runs") / f"{adapter.name}-{method.name}-{stamp}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig(
            f"out cannot be created: {error.strerror}", where=folder, hint="Choose another out."
        ) from None
    return folder


UNFINISHED = (
    ".tmp-config.json-*", ".tmp-history.csv-*", ".tmp-bad_samples.csv-*", ".tmp-model-*",
    "checkpoints/.tmp-step-*", "bad_steps/.tmp-*", "bad_steps/checkpoints/.tmp-*",
)  # fmt: skip


def clear_unfinished(folder: Path) -> None:
    """Delete what earlier processes of a run left half-written; only with its lock held."""
    for path in (found for pattern in UNFINISHED for found in folder.glob(pattern)):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def claim(folder: Path, config: RunConfig, resume: str, world: World) -> bool:
    """Check that the folder is new or this very run's; True if that run is finished."""
    if resume not in ("auto", "never", "must"):
        raise unknown_name("resume", resume, ("auto", "never", "must"))
    path = folder / "config.json"
    exists = path.exists()
    with world.together():  # none writes before all have looked
        pass
    with world.together():
        if exists:
            _refuse_another(folder, config, resume)
        elif resume == "must":
            raise BadConfig("there is no run to resume", where=folder)
        elif world.leads:
            write_json(path, config)
    return exists and (folder / "model" / "config.json").exists()


def _refuse_another(folder: Path, config: RunConfig, resume: str) -> None:
    if resume == "never":
        raise BadConfig(
            "there is a run in this folder already",
            where=folder,
            hint="Choose another out, or resume='auto' to continue it.",
        )
    read_run_config(folder).refuse_difference(config, folder)
