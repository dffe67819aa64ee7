"""Settings: a run's configuration beside the defaults, and what tells several runs apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from anymae.encoder import SIZES
from anymae.errors import AnyMAEError
from anymae.recipe import SLOTS, Recipe
from anymae.registry import modality, recipe
from anymae.report.record import RunRecord

AUTOMATIC = "automatic"
_CHOSEN_FOR_THE_USER = frozenset(
    {"steps", "epochs", "batch_size", "batch_tokens", "lr", "validate_every", "checkpoint_every",
     "workers"}
)  # fmt: skip
"""Training fields whose None means that anymae chooses; elsewhere None means none."""
_RUN_FIELDS = {"format", "data_path"}


@dataclass(frozen=True)
class Setting:
    """One line of a configuration table. ``default`` is None where there is none to compare
    with; ``differs`` says that the value was chosen against it."""

    name: str
    value: str
    default: str | None
    differs: bool


@dataclass(frozen=True)
class Table:
    """Settings under a title; ``against`` heads the column of defaults."""

    title: str
    against: str
    settings: list[Setting]

    @property
    def compares(self) -> bool:
        """Whether there is anything to compare with."""
        return any(setting.default is not None for setting in self.settings)

    @property
    def differing(self) -> int:
        """How many settings are not the default."""
        return sum(setting.differs for setting in self.settings)


def tables(record: RunRecord) -> list[Table]:
    """The whole configuration of a run: method, training, encoder, data."""
    model = record.config.model
    mae, own = recipe("mae"), model.recipe
    encoder = model.encoder.model_dump(mode="json")
    size, standard = _size(encoder)
    training, options = _fields(own.training), _adapter_defaults(model.modality)
    return [
        Table("Method, slot by slot", "MAE", _compared(_slots(own), _slots(mae))),
        Table("Training", "MAE", _compared(training, _fields(mae.training), _CHOSEN_FOR_THE_USER)),
        Table("Encoder", f"size {size}", _compared(flat(encoder), flat(standard))),
        Table("Data", "default", _compared(flat(model.adapter), options, options)),
        Table("Run", "default", _compared(_run_fields(record), {})),
    ]


def differences(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """Settings in which runs differ: dotted name and each run's value, in the run's order."""
    everything = [flat(_identity(record)) for record in records]
    names = dict.fromkeys(name for fields in everything for name in fields)
    rows = [(name, [fields.get(name) for fields in everything]) for name in names]
    return [
        (name, [shown(value) for value in values])
        for name, values in rows
        if any(value != values[0] for value in values)
    ]


def config_json(record: RunRecord) -> str:
    """The run's ``config.json`` as text."""
    return json.dumps(record.config.model_dump(mode="json"), indent=1)


def flat(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; a part's kind stands under the part's own name."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        dotted = f"{path}.{name}".lstrip(".")
        if name == "kind" and path:
            found[path] = value
        elif isinstance(value, Mapping):
            found |= flat(value, dotted)
        else:
            found[dotted] = value
    return found


def shown(value: Any) -> str:
    """A setting as a reader would write it."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in value) or "none"
    return str(value)


def _compared(
    own: Mapping[str, Any], defaults: Mapping[str, Any], chosen: Iterable[str] = ()
) -> list[Setting]:
    """Own settings beside defaults. Where a default of None leaves the choice to anymae
    (``chosen``), whatever was chosen does not differ from it."""
    rows = []
    for name, value in own.items():
        if name not in defaults:
            rows.append(Setting(name, shown(value), None, False))
            continue
        default = defaults[name]
        automatic = default is None and name in chosen
        text = AUTOMATIC if automatic else shown(default)
        own_text = AUTOMATIC if automatic and value is None else shown(value)
        rows.append(Setting(name, own_text, text, not automatic and value != default))
    return rows


def _slots(method: Recipe) -> dict[str, Any]:
    fields = method.model_dump(mode="json")
    return flat({slot: fields[slot] for slot in SLOTS})


def _fields(config: BaseModel) -> dict[str, Any]:
    return flat(config.model_dump(mode="json"))


def _size(encoder: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The named size nearest to an encoder: the one with which most settings agree."""
    standards = {name: config.model_dump(mode="json") for name, config in SIZES.items()}
    best = max(standards, key=lambda name: sum(standards[name][k] == encoder[k] for k in encoder))
    return best, standards[best]


def _adapter_defaults(name: str) -> dict[str, Any]:
    """Defaults of the modality's options; none if it is not installed here."""
    try:
        fields = modality(name).model_fields
    except AnyMAEError:
        return {}
    found = {}
    for key, field in fields.items():
        if not field.is_required():
            default = field.get_default(call_default_factory=True)
            found[key] = list(default) if isinstance(default, tuple) else default
    return found


def _run_fields(record: RunRecord) -> dict[str, Any]:
    fields = record.config.model_dump(mode="json", exclude={"model"})
    return {name: value for name, value in fields.items() if name not in _RUN_FIELDS}


def _identity(record: RunRecord) -> dict[str, Any]:
    """Everything that can tell one run from another, nested by what it is about."""
    fields = record.config.model_dump(mode="json")
    model = fields["model"]
    method = {k: v for k, v in model["recipe"].items() if k not in ("paper", "year", "summary")}
    training = method.pop("training")
    own = {name: fields[name] for name in fields if name not in {"model", *_RUN_FIELDS}}
    return {
        "modality": model["modality"],
        "recipe": {"name": method.pop("name")} | method,
        "training": training,
        "encoder": model["encoder"],
        "data options": model["adapter"],
        "run": own,
    }
