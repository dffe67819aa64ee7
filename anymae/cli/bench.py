"""The command that lists and runs the benchmark suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Suite = Annotated[
    list[str], typer.Option("--suite", help="speed, quality, or a benchmark's name; repeatable.")
]


def bench(
    rest: Annotated[
        list[str] | None, typer.Argument(help="After --: further options of a quality benchmark.")
    ] = None,
    suite: Suite = [],  # noqa: B006  (typer copies it)
    against: Annotated[str | None, typer.Option(help="Only this peer: transformers ...")] = None,
    budget: Annotated[str, typer.Option(help="smoke laptop gpu paper.")] = "laptop",
    data: Annotated[Path | None, typer.Option(help="Data of a benchmark, or root of all.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for results and report.html.")
    ] = Path("runs/bench"),
) -> None:
    """List the benchmarks, or run some: anymae bench --suite speed --against transformers."""
    from anymae.benchmarks import page
    from anymae.benchmarks import suite as benchmarks

    if not suite:
        for name, about in benchmarks.listed():
            typer.echo(f"{name:16s} {about}")
        return
    for name in suite:
        benchmarks.run(name, budget, data=data, against=against, out=out, rest=rest or [])
    typer.echo(str(page.write_html(out)))
