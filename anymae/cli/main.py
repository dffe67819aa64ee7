"""``anymae``: the commands in one place, and how errors become one line and a status."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from anymae import __version__
from anymae.cli import after, bench, catalogue, new_modality, replaying, train
from anymae.errors import AnyMAEError
from anymae.training.signals import sigterm_ends

app = typer.Typer(
    name="anymae",
    help="Masked autoencoding for any data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (train.demo, train.pretrain, train.resume, replaying.replay,
                after.evaluate, after.diagnose, after.finetune,
                after.embed, after.reconstruct, after.report,
                catalogue.recipes, catalogue.modalities,
                catalogue.doctor, bench.bench):  # fmt: skip
    app.command()(command)
app.command("import")(after.import_weights)
app.command("new-modality")(new_modality.new_modality)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And exit.")
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--debug" in arguments:
        return app(arguments, standalone_mode=False) or 0
    try:
        with sigterm_ends():
            return app(arguments, standalone_mode=False) or 0
    except AnyMAEError as error:
        return _failed(str(error), error.status)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _failed("interrupted", 130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{error.strerror or error}", 2)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _failed(f"{error.format_message()} See: anymae --help", 2)  # a usage error


def _failed(line: str, status: int) -> int:
    line = f"anymae: {' '.join(line.split())}"
    typer.echo(line, err=True)
    if report := os.environ.get("TORCHELASTIC_ERROR_FILE"):  # torchrun's last words quote it
        Path(report).write_text(json.dumps({"message": line, "timestamp": int(time.time())}))
    return status
