"""Page: the HTML report, from what run folders say.

Templates escape everything; pictures travel inside the page; there is no script and no address of
anything outside. The same folders give the same bytes.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from anymae.errors import AnyMAEError
from anymae.report import formats, words
from anymae.report.artifacts import PICTURES, KeptDiagnosis, KeptScores, Measured
from anymae.report.curves import COLOURS, data_uri, panels
from anymae.report.record import RunRecord
from anymae.report.settings import config_json, differences, tables
from anymae.targets import Content

if TYPE_CHECKING:
    from jinja2 import Environment

SIDES = (("random_init", "random init"), ("raw", "raw features"), ("pretrained", "pretrained"))

FIGURES = {
    "loss": ("masked loss", "per asked token, with the recipe's own mask"),
    "trivial_loss": ("loss of the better trivial guess", "what the masked loss must beat"),
    "explained_variance": ("explained variance", "1 perfect, 0 no better than a trivial guess"),
    "effective_rank": (
        "effective rank (RankMe)",
        "directions in use; 1 is collapse, width the most",
    ),
    "alpha_req": ("spectral slope (alpha-ReQ)", "healthy near 1"),
    "uniformity": ("uniformity", "0 is collapse, to about \N{MINUS SIGN}4"),
    "mean_cosine": ("mean cosine of different samples", "1 means that all look alike"),
    "relative_spread": ("relative spread", "0 means that features ignore the sample"),
    "memorisation": ("memorisation", "loss on new data over loss on training data, minus 1"),
    "samples": ("samples looked at", ""),
    "width": ("width of the features", ""),
}
"""What a diagnosis's figures are called, and how to read them."""


@dataclass(frozen=True)
class Bar:
    """One measured value as a row with a bar; positions are per cent of the common scale."""

    label: str
    measured: Measured
    strong: bool
    left: float
    width: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of one protocol, ready to be shown; ``zero`` is where bars begin, in per cent."""

    scores: KeptScores
    outcome: str
    bars: list[Bar]


def render(records: Sequence[RunRecord]) -> str:
    """The page of one run, or the comparison of several."""
    shared: dict[str, Any] = {"panels": panels(records), "figures": FIGURES}
    if len(records) == 1:
        own = _one(records[0])
        return environment().get_template("report.html.j2").render(shared | own)
    return environment().get_template("comparison.html.j2").render(shared | _several(records))


def _one(record: RunRecord) -> dict[str, Any]:
    return {
        "title": record.name,
        "run": record,
        "verdict": words.verdict(record),
        "evaluations": [_evaluation(scores) for scores in record.scores],
        "diagnoses": record.diagnoses,
        "pictures": _inlined(record),
        "tables": tables(record),
        "config_json": config_json(record),
        "flattered": _shown_with_own_statistics(record),
        "commands": _commands(record),
    }


def _several(records: Sequence[RunRecord]) -> dict[str, Any]:
    return {
        "title": f"{len(records)} runs compared",
        "runs": [
            {
                "record": record,
                "colour": COLOURS[i % len(COLOURS)],
                "dashed": i >= len(COLOURS),
                "verdict": words.verdict(record),
                "pictures": _inlined(record),
                "commands": _commands(record),
            }
            for i, record in enumerate(records)
        ],
        "differences": differences(records),
        "protocols": _by_protocol(records),
        "diagnosed": _diagnosed(records),
        "alike": len({_task(record) for record in records}) == 1,
    }


def _task(record: RunRecord) -> str:
    """What a loss depends on beside the model: losses compare only where this is equal."""
    method = record.config.model.recipe
    parts = (method.mask, method.target, method.loss)
    return repr([record.config.model.adapter, *(p.model_dump(mode="json") for p in parts)])


def _evaluation(scores: KeptScores) -> Evaluation:
    measured = [(label, getattr(scores, side), side) for side, label in SIDES]
    present = [(label, m, side) for label, m, side in measured if m and m.value is not None]
    edges = [edge for _, m, _ in present for edge in (m.value, *(m.interval or ()))]
    low, high = min([0.0, *edges]), max([1.0, *edges])

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    bars = []
    for label, m, side in present:
        left, right = sorted((place(0.0), place(m.value)))
        ends = (None, None) if m.interval is None else tuple(map(place, m.interval))
        bars.append(Bar(label, m, side == "pretrained", left, round(right - left, 2), *ends))
    return Evaluation(scores, words.outcome(scores), bars)


def _by_protocol(records: Sequence[RunRecord]) -> list[tuple[str, list[KeptScores | None]]]:
    """Each kept protocol and metric with every run's scores, in the runs' order."""
    names = dict.fromkeys((s.name, s.metric) for record in records for s in record.scores)
    return [
        (f"{name}, {metric}", [_first(record.scores, name, metric) for record in records])
        for name, metric in names
    ]


def _first(kept: Sequence[KeptScores], name: str, metric: str) -> KeptScores | None:
    return next((s for s in kept if (s.name, s.metric) == (name, metric)), None)


def _diagnosed(records: Sequence[RunRecord]) -> list[tuple[str, list[KeptDiagnosis | None]]]:
    names = dict.fromkeys(d.name for record in records for d in record.diagnoses)
    return [
        (name, [next((d for d in r.diagnoses if d.name == name), None) for r in records])
        for name in names
    ]


def _inlined(record: RunRecord) -> dict[str, str]:
    return {theme: data_uri(png, "image/png") for theme, png in record.pictures.items()}


def _commands(record: RunRecord) -> dict[str, str]:
    """Shell commands that repeat the run or add what its report lacks."""
    run = shlex.quote(str(record.path))
    config = shlex.quote(str(record.path / "config.json"))
    picture = shlex.quote(str(record.path / PICTURES["light"]))
    data = shlex.quote(record.config.data_path) if record.config.data_path else "DATA"
    found = {
        "resume": f"anymae resume {run}",
        "evaluate": f"anymae evaluate {run} --train DATA --test DATA",
        "diagnose": f"anymae diagnose {run} DATA",
        "reconstruct": f"anymae reconstruct {run} DATA -o {picture}",
    }
    try:
        record.config.arguments()
    except AnyMAEError:
        return found
    return found | {"reproduce": f"anymae pretrain {data} --config {config} --out runs/again"}


@cache
def environment() -> Environment:
    """The templates, which escape everything."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("anymae.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("number", "count", "percent", "large", "duration", "interval", "score"):
        environment.filters[name] = getattr(formats, name)
    return environment


def _shown_with_own_statistics(record: RunRecord) -> bool:
    target = record.config.model.recipe.target
    return isinstance(target, Content) and target.normalise == "token"
