"""The page of results: docs/benchmarks.md, or an HTML file of one's own results.

    python -m anymae.benchmarks.page

writes ``docs/benchmarks.md`` and its pictures from the files in ``benchmarks/results``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from anymae.benchmarks.quality.methods import cell

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"
KINDS = ("pretrained", "raw", "random_init")
"""What is judged side by side wherever frozen features are."""


@dataclass(frozen=True)
class Table:
    """One table of the page: ``note`` says how it was measured, ``command`` measures it again;
    ``picture`` is an SVG."""

    title: str
    note: str
    command: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    picture: bytes | None = None


def tables(folder: Path) -> list[Table]:
    """Every result in a folder as a table: contests of speed, growth, inputs, then quality."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    speed = {name: _contest(one) for name, one in found.items() if "contest" in one}
    other = {name: make(found[name]) for name, make in _OTHERS.items() if name in found}
    named = [
        replace(table, note=f"{table.note} `benchmarks/results/{name}.json`.")
        for name, table in (speed | other).items()
    ]
    return [*named, _quality(found)]


def _machine(result: dict[str, Any]) -> str:
    machine = result["machine"]
    place = ", ".join(machine["gpus"]) if result.get("device", "cpu") != "cpu" else ""
    return place or f"{machine['processor']}, {machine['cores']} cores"


def _contest(result: dict[str, Any]) -> Table:
    rows = []
    for name, row in result["rows"].items():
        ratios = "; ".join(f"{ratio:.2f}x {peer}" for peer, ratio in row["speed_ratio"].items())
        share, speed = f"{row['share_of_peak']:.0%}", f"{row['per_second']:.1f}"
        energy = "" if row["joules"] is None else f"{row['joules']:.2f}"
        rows.append((name, speed, share, f"{row['peak_mib']:.0f}", energy, ratios))
    return Table(
        f"Speed: {result['contest']}",
        f"{result['about']}; {result['rounds']} rounds in turns, {result['threads']} thread, "
        f"medians; {_machine(result)}, torch {result['machine']['torch']}; above 1x ours is "
        "faster.",
        result["command"],
        ("", f"{result['unit']}/s", "of the matrix peak", "peak MiB", "J each", "speed"),
        rows,
    )


def _growth(result: dict[str, Any]) -> Table:
    rows = []
    for axis, found in result["axes"].items():
        rows += [
            (f"{axis} {size}", f"{1e3 * seconds:.0f}", f"{mib:.0f}", "")
            for size, seconds, mib in zip(
                found["sizes"], found["seconds"], found["peak_mib"], strict=True
            )
        ]
        rows[-1] = (*rows[-1][:3], f"{found['slope']:.2f}")
    middle = ", ".join(f"{axis} {size}" for axis, size in result["middle"].items())
    return Table(
        "Growth of cost",
        "Processor milliseconds of a training step (float32, four blocks), summed over processes, "
        f"and peak memory; the other sizes stay at {middle}. The slope is that of a straight line "
        f"on logarithmic axes. {_machine(result)}.",
        result["command"],
        ("size", "ms", "peak MiB", "slope"),
        rows,
        _curves(result["axes"]),
    )


def _inputs(result: dict[str, Any]) -> Table:
    rows = [
        (name, row["about"], f"{row['per_second']:.0f}", f"{row['steps_samples_per_second']:.0f}",
         f"{row['ratio']:.1f}x")
        for name, row in result["modalities"].items()
    ]  # fmt: skip
    return Table(
        "Preparing data",
        "Samples read, augmented and tokenized a second by one core, beside what a training step "
        f"of a tiny encoder (192 x 12, {result['precision']}) takes on the same core. "
        f"{_machine(result)}.",
        result["command"],
        ("modality", "a sample", "prepared/s", "trained/s", "head-room"),
        rows,
    )


def _attention(result: dict[str, Any]) -> Table:
    rows = [
        (name, *(f"{row[key]:.1f}" for key in ("plain_ms", "fused_ms")),
         f"{row['plain_over_fused']:.2f}x")
        for name, row in result["rows"].items()
    ]  # fmt: skip
    return Table(
        "Attention on a CPU",
        "Forward and backward of one layer, milliseconds; plain products and torch's fused kernel. "
        f"{_machine(result)}.",
        result["command"],
        ("shape", "plain", "fused", "plain is faster by"),
        rows,
    )


def _kernels(result: dict[str, Any]) -> Table:
    rows = []
    for name, row in result["rows"].items():
        times = row["milliseconds"]
        ours = next(iter(times))
        rivals = [f"{k} {times[k]:.1f} ({ratio:.2f}x)" for k, ratio in row["speed_ratio"].items()]
        rows.append((name, f"{ours} {times[ours]:.1f}", "; ".join(rivals)))
    return Table(
        "Kernels",
        "Forward and backward, milliseconds; in brackets how many times faster the first is. "
        f"{_machine(result)}.",
        result["command"],
        ("case", "what runs", "instead of"),
        rows,
    )


def _methods(result: dict[str, Any], title: str, note: str) -> Table:
    tasks = result["tasks"]
    names = dict.fromkeys(name for rows in tasks.values() for name in rows)
    return Table(
        title,
        f"{note} Accuracy of a linear probe, in brackets the difference to MAE over the same "
        f"seeds, bold where its 95 % interval excludes 0. {_machine(result)}.",
        result["command"],
        ("", *tasks),
        [(name, *(cell(rows.get(name, {})) for rows in tasks.values())) for name in names],
    )


_OTHERS: dict[str, Callable[[dict[str, Any]], Table]] = {
    "kernels": _kernels, "attention": _attention, "growth": _growth, "inputs": _inputs,
    "methods-cpu": partial(
        _methods,
        title="Methods beside MAE",
        note="Every method takes as many steps as cost the arithmetic of MAE's.",
    ),
    "less": partial(
        _methods,
        title="Less arithmetic",
        note="A decoder that reads seen tokens only, and half of the hidden tokens asked, for as "
        "many steps as MAE.",
    ),
}  # fmt: skip


def _quality(found: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for name, result in found.items():
        judged: dict[str, list[dict[str, Any]]] = {}
        for path, row in _judged(result):
            judged.setdefault(path, []).append(row)
        for path, runs in judged.items():
            values = [sum(_value(run[kind]) for run in runs) / len(runs) for kind in KINDS]
            shown = [f"{value:.3f}" for value in values]
            rows.append((f"`{name}.json`", path, str(len(runs)), *shown))
    return Table(
        "Quality of frozen features",
        "Pretrained encoder beside raw features and a random encoder, the same protocol for all; "
        "means over runs with other seeds. Whatever is not of this form (nodes, scenes, tables, "
        "imputation) is in its own file and in the README of its modality.",
        "anymae bench --suite quality --data DATA",
        ("file", "what", "runs", "pretrained", "raw", "random"),
        rows,
    )


def _judged(result: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of a result where pretrained, raw and random features stand side by side."""
    if isinstance(result, dict):
        if all(_measured(result.get(kind)) for kind in KINDS):
            yield " ".join(path), result
        elif "runs" in result and path == ():
            yield from _judged(result["runs"])
        else:
            for key, value in result.items():
                yield from _judged(value, (*path, key))
    elif isinstance(result, list):
        for value in result:
            yield from _judged(value, path)


def _measured(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, dict) and "value" in value)


def _value(measured: Any) -> float:
    return float(measured["value"] if isinstance(measured, dict) else measured)


def _curves(axes: dict[str, Any]) -> bytes:
    """Seconds against size on logarithmic axes, one line an axis."""
    import io

    from matplotlib import rc_context

    from anymae.report.pictures import THEMES, blank

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "anymae"}):
        figure = blank(5.0, 3.2, THEMES["light"])
        plot = figure.add_subplot()
        for axis, found in axes.items():
            plot.loglog(
                found["sizes"], found["seconds"], marker="o", label=f"{axis} ({found['slope']:.2f})"
            )
        plot.set_xlabel("size")
        plot.set_ylabel("processor seconds a step")
        plot.legend(frameon=False)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().encode()


def markdown(found: Sequence[Table], pictures: str) -> str:
    """The page; ``pictures`` is the folder of its SVGs, seen from the page."""
    lines = [
        "# Benchmarks",
        "",
        "Measured by `anymae bench`; ratios come from one run in which everybody takes turns, "
        "each entrant's memory from a process of its own. Nothing here has run on a GPU unless its "
        "table names one. Written by `python -m anymae.benchmarks.page` from `benchmarks/results`.",
    ]
    for table in found:
        lines += ["", f"## {table.title}", "", table.note, "", "```", table.command, "```", ""]
        lines += [_row(table.header), _row(["---"] * len(table.header))]
        lines += [_row(row) for row in table.rows]
        if table.picture is not None:
            lines += ["", f"![{table.title}]({pictures}/{_file(table)})"]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _file(table: Table) -> str:
    return f"{table.title.lower().replace(' ', '-')}.svg"


def write_html(folder: Path) -> Path:
    """``report.html`` of the results in a folder, self-contained; returns its path."""
    from anymae.report.artifacts import write_whole
    from anymae.report.curves import data_uri
    from anymae.report.page import environment

    found = [
        {"table": table, "picture": table.picture and data_uri(table.picture, "image/svg+xml")}
        for table in tables(folder)
    ]
    page = environment().get_template("benchmarks.html.j2").render(title="Benchmarks", found=found)
    path = folder / "report.html"
    write_whole(path, page.encode())
    return path


def main() -> None:
    """See the module's docstring."""
    found = tables(RESULTS)
    pictures = PAGE.with_suffix("")
    pictures.mkdir(exist_ok=True)
    for table in found:
        if table.picture is not None:
            (pictures / _file(table)).write_bytes(table.picture)
    PAGE.write_text(markdown(found, pictures.name))


if __name__ == "__main__":
    main()
