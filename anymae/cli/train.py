"""Commands that train: demo, pretrain, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from anymae.cli.settings import from_file, parsed
from anymae.errors import BadConfig

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder (new under runs/).")]
Strategy = Annotated[str, typer.Option(help="Of several processes: auto, ddp or fsdp.")]
Settings = Annotated[
    list[str],
    typer.Option("--set", "-s", help="A dotted setting, e.g. decoder.depth=4; repeatable."),
]


def pretrain(
    data: Annotated[str, typer.Argument(help="A folder, glob, file, or tar/Parquet shards.")],
    modality: Annotated[str | None, typer.Option("--modality", "-m", help="Kind of data.")] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", "-r", help="Method by name.")] = None,
    size: Annotated[str | None, typer.Option(help="nano tiny small base large huge.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per step, all ranks.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    mask_ratio: Annotated[float | None, typer.Option(help="Fraction hidden.")] = None,
    validation: Annotated[str | None, typer.Option(help="Data, or a fraction to hold out.")] = None,
    out: Out = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every draw.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    strategy: Strategy = "auto",
    option: Annotated[
        list[str], typer.Option("--option", help="A modality option, e.g. patch_size=8.")
    ] = [],  # noqa: B006  (typer copies it)
    settings: Settings = [],  # noqa: B006
    config: Annotated[
        Path | None, typer.Option(help="YAML of these options, or a run's config.json.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate time and memory, from a few steps.")
    ] = False,
) -> None:
    """Pretrain on DATA and write a run folder with model, history and report."""
    given = {
        "modality": modality, "recipe": recipe, "size": size, "steps": steps, "epochs": epochs,
        "batch_size": batch_size, "lr": lr, "mask_ratio": mask_ratio,
        "validation": _validation(validation), "out": out, "seed": seed,
    }  # fmt: skip
    arguments = _from_config(config) | {k: v for k, v in given.items() if v is not None}
    arguments |= parsed(settings)
    if option:
        arguments["modality_options"] = arguments.get("modality_options", {}) | parsed(option)
    chosen = {"device": device, "precision": precision, "strategy": strategy}
    if dry_run:
        from anymae.training.estimate import estimate

        typer.echo(str(estimate(data, **_checked(chosen | arguments))))
        return
    _train(data, chosen | arguments)


def resume(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data: Annotated[str | None, typer.Argument(help="Its data, if it moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    strategy: Strategy = "auto",
) -> None:
    """Continue an unfinished RUN exactly where its newest sound checkpoint left it, or from the
    beginning if it has none yet."""
    from anymae.training.run import read_run_config

    config = read_run_config(run)
    place = data or config.data_path
    if place is None:
        raise BadConfig(
            "this run was not started from a path, so its data cannot be found again",
            where=run,
            hint=f"Give them: anymae resume {run} DATA",
        )
    how = {"out": run, "resume": "must", "device": device, "strategy": strategy}
    _train(place, config.arguments() | how)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2500,
) -> None:
    """Pretrain on embedded real images of digits, evaluate, and write the report."""
    from anymae.cli.demonstration import demonstrate

    demonstrate(out, steps)


def _train(data: str, arguments: dict[str, Any]) -> None:
    from anymae.training.pretrain import pretrain as pretrain_on

    typer.echo(str(pretrain_on(data, **_checked(arguments)).report()))


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``pretrain`` beside its data. Raises ``BadConfig``."""
    if "modality" not in arguments:
        raise BadConfig("--modality is needed", hint="See: anymae modalities")
    if "dataset" in arguments:
        raise BadConfig("the data are the first argument, not a setting")
    return arguments


def _validation(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _from_config(path: Path | None) -> dict[str, Any]:
    """Arguments of ``pretrain`` from a file of them, or from a run's own ``config.json``."""
    if path is None:
        return {}
    fields = from_file(path)
    if "model" not in fields:
        return fields
    from anymae.config import validated
    from anymae.training.run import RunConfig

    return validated(RunConfig, fields, str(path)).arguments()
