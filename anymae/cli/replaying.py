"""The command that looks into a training step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def replay(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    step: Annotated[int | None, typer.Option(help="Which step; the newest bad one.")] = None,
    data: Annotated[str | None, typer.Option(help="Its data, if they moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
) -> None:
    """Compute a bad step of RUN again: its loss, its gradient, and the samples it was made of."""
    from anymae.training.replay import replay as compute_again

    typer.echo(str(compute_again(run, data, step, device=device)))
