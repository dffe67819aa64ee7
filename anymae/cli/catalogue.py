"""Commands that say what exists and what this machine can do: recipes, modalities, doctor."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import torch

    from anymae.recipe import Recipe


def recipes(
    name: Annotated[str | None, typer.Argument(help="Explain this one, slot by slot.")] = None,
    markdown: Annotated[bool, typer.Option(help="As a page (docs/recipes.md).")] = False,
) -> None:
    """List the published methods, or explain one beside MAE."""
    from anymae.registry import recipe, recipes

    if name is not None:
        _explain(recipe(name), recipe("mae"))
        return
    if markdown:
        typer.echo(recipe_page(recipes().values(), recipe("mae")))
        return
    table = Table("recipe", "year", "what it does", "paper", box=None)
    for one in recipes().values():
        mark = "" if one.verified else " (unverified)"
        table.add_row(one.name + mark, str(one.year), one.summary, one.paper)
    Console().print(table)


def recipe_page(every: Iterable[Recipe], mae: Recipe) -> str:
    """A page in Markdown: what each method does, which slots differ from MAE's, what differs from
    its paper, and what it needs of a modality."""
    lines = [
        "# Recipes",
        "",
        "Every method is a choice in each slot; slots that are not named are MAE's. "
        "`anymae recipes NAME` shows one slot by slot. This page is the output of "
        "`anymae recipes --markdown`.",
    ]
    for one in sorted(every, key=lambda r: (r.year, r.name)):
        theirs = {slot: _said_all(part) for slot, part in one.parts.items()}
        own = {slot: said for slot, said in theirs.items() if said != _said_all(mae.parts[slot])}
        lines += ["", f"## {one.name}", "", f"{one.paper}. {one.summary}", ""]
        lines += [f"- {slot}: `{said}`" for slot, said in own.items()]
        if one.needs:
            lines.append(f"- needs: {', '.join(sorted(one.needs))}")
        if one.differs:
            lines.append(f"- differs: {one.differs}")
        if not one.verified:
            lines.append("- unverified: the facts were not checked at their source")
    return "\n".join(lines)


def _said_all(part: BaseModel | tuple[BaseModel, ...] | dict[str, Any] | int) -> str:
    if isinstance(part, int):
        return str(part)
    if isinstance(part, dict):
        return " ".join(f"{key}={value}" for key, value in part.items()) or "none"
    if isinstance(part, tuple):
        return "; ".join(_said(one) for one in part) or "none"
    return _said(part)


def _explain(one: Recipe, mae: Recipe) -> None:
    console = Console(highlight=False)
    console.print(f"{one.name}: {one.summary}\n{one.paper}", markup=False)
    if one.differs:
        console.print(f"Differs from the paper: {one.differs}", markup=False)
    table = Table("slot", one.name, *([] if one.name == "mae" else ["mae"]), box=None)
    for slot, part in one.parts.items():
        theirs = mae.parts[slot]
        row = [slot, _said_all(part)]
        if one.name != "mae":
            row.append("same" if theirs == part else _said_all(theirs))
        table.add_row(*row)
    console.print(table)


def _said(part: BaseModel) -> str:
    fields = part.model_dump(mode="json")
    kind = fields.pop("kind", None)
    told = [f"{k}={_flat(v)}" for k, v in fields.items() if v is not None]
    return " ".join(([kind] if kind else []) + told)


def _flat(value: Any) -> Any:
    """A part inside a part: its kind, and its numbers where it has any."""
    if not isinstance(value, dict):
        return value
    numbers = ", ".join(f"{k}={v}" for k, v in value.items() if k != "kind" and v is not None)
    return f"{value['kind']}({numbers})" if numbers else value["kind"]


def modalities() -> None:
    """List the kinds of data that can be used."""
    from anymae.registry import modalities

    for name in modalities():
        try:
            summary = (modalities()[name].__doc__ or "").strip().split("\n")[0]
        except Exception as error:  # anybody's package, for any reason
            summary = f"cannot be loaded: {type(error).__name__}: {error}"
        typer.echo(f"{name:12s} {summary}")


def doctor() -> None:
    """Say what this machine can do: devices, number formats, which kernels run, packages."""
    import torch

    from anymae import __version__
    from anymae.precision import bf16_speedup, resolve

    typer.echo(
        f"anymae {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    devices = [torch.device("cpu")]
    devices += [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    for device in devices:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
        typer.echo(f"{device}: {name}, precision auto is {resolve('auto', device)}")
        for operation, body, why in _kernels(device):
            typer.echo(f"  {operation}: {body} ({why})")
    typer.echo(f"cpu: {torch.get_num_threads()} threads, bf16 is {bf16_speedup():.1f}x fp32")
    for package in ("torchvision", "tifffile", "pyarrow", "datasets", "transformers", "timm"):
        typer.echo(f"{package}: {_version(package)}")


def _kernels(device: torch.device) -> Iterator[tuple[str, str, str]]:
    """Every operation that has more than one implementation, the one that runs on a device, and
    why: what the kernels themselves answer."""
    import torch

    from anymae.kernels import attention, edge_attention, neighbours
    from anymae.kernels.segments import Segments

    for title, lengths in (("equal lengths", [64, 64]), ("ragged", [20, 64])):
        for dtype in (torch.float32, torch.bfloat16):
            cut = Segments.of_lengths(lengths)
            shape, body, why = attention.choose(device, dtype, cut, cut)
            yield f"attention, {title}, {str(dtype)[6:]}", f"{shape}/{body}", why
    yield "attention along edges", *edge_attention.choose(device)
    yield "farthest points, nearest neighbours", *neighbours.choose(device)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
