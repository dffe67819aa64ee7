"""RunRecord: everything a run folder says, read and checked, for the report.

Reads JSON, CSV, PNG bytes and the header of one safetensors file; no weights and no data.
"""

from __future__ import annotations

import csv
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymae.config import validated
from anymae.errors import AnyMAEError, CheckpointError
from anymae.report.artifacts import EVALUATIONS, PICTURES, Kept, KeptDiagnosis, KeptScores
from anymae.storage import read_json
from anymae.training.history import read_history
from anymae.training.run import RunConfig, read_run_config

PICTURE_LIMIT = 50_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_FOR_FEATURES = ("embedding", "encoder")
_NOT_ENVIRONMENT = {"format", "step", "files"}


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it. ``environment`` comes from the newest checkpoint's manifest;
    ``parameters`` are those of the encoder and of the whole model, None while it is unfinished;
    ``pictures`` are PNG bytes by theme."""

    path: Path
    config: RunConfig
    history: list[dict[str, Any]]
    environment: dict[str, str]
    parameters: tuple[int, int] | None
    scores: tuple[KeptScores, ...]
    diagnoses: tuple[KeptDiagnosis, ...]
    pictures: dict[str, bytes]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def finished(self) -> bool:
        """Whether the run wrote its model."""
        return (self.path / "model" / "config.json").exists()

    def last(self, column: str) -> Any:
        """The newest entry of a column of the history, or None."""
        return next((row[column] for row in reversed(self.history) if column in row), None)

    def series(self, column: str) -> tuple[list[int], list[float]]:
        """Steps and values of a column of the history, where it has any."""
        rows = [row for row in self.history if column in row and math.isfinite(row[column])]
        return [row["step"] for row in rows], [row[column] for row in rows]

    def speed(self, column: str) -> float | None:
        """The median of a column of the history, or None."""
        _, values = self.series(column)
        return statistics.median(values) if values else None

    def trivial(self, kind: str = "") -> float | None:
        """The loss of the better trivial predictor on training samples (``""``) or held-out ones
        (``"validation_"``). It is constant over a run and follows from loss and explained
        variance; None where these do not tell."""
        found = [
            row[f"{kind}loss"] / (1 - row[f"{kind}explained_variance"])
            for row in self.history
            if abs(1 - row.get(f"{kind}explained_variance", 1.0)) > 1e-9 and f"{kind}loss" in row
        ]
        if not found or max(found) - min(found) > 1e-3 * max(found):
            return None
        return statistics.median(found)


def read_run(path: Path) -> RunRecord:
    """Read a run folder, finished or not. Raises ``CheckpointError`` or ``BadConfig`` naming the
    file that is missing or damaged."""
    config = read_run_config(path)
    kept = [_evaluation(file) for file in sorted((path / EVALUATIONS).glob("[!.]*.json"))]
    return RunRecord(
        path=path,
        config=config,
        history=_history(path / "history.csv"),
        environment=_environment(path / "checkpoints"),
        parameters=_parameters(path / "model" / "model.safetensors"),
        scores=tuple(one for one in kept if isinstance(one, KeptScores)),
        diagnoses=tuple(one for one in kept if isinstance(one, KeptDiagnosis)),
        pictures=_pictures(path),
    )


def _history(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows = read_history(path)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise CheckpointError(f"cannot be read as a history: {error}", where=path) from None
    if not all("step" in row for row in rows):
        raise CheckpointError("a row has no step", where=path)
    return rows


def _environment(checkpoints: Path) -> dict[str, str]:
    manifests = sorted(checkpoints.glob("step-*/manifest.json"))
    if not manifests:
        return {}
    found = read_json(manifests[-1])
    return {
        name: str(value)
        for name, value in found.items()
        if name not in _NOT_ENVIRONMENT and isinstance(value, str | int | float)
    }


def _parameters(path: Path) -> tuple[int, int] | None:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    sizes = {}
    try:
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118  (the file is no mapping)
                sizes[name] = math.prod(file.get_slice(name).get_shape())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=path) from None
    encoder = sum(n for name, n in sizes.items() if name.partition(".")[0] in _FOR_FEATURES)
    return encoder, sum(sizes.values())


def _evaluation(path: Path) -> KeptScores | KeptDiagnosis:
    fields = read_json(path)
    try:
        return validated(Kept, fields, str(path)).content
    except AnyMAEError as error:
        raise CheckpointError(str(error)) from None


def _pictures(run: Path) -> dict[str, bytes]:
    found = {}
    for theme, place in PICTURES.items():
        path = run / place
        if not path.exists():
            continue
        try:
            with path.open("rb") as file:
                content = file.read(PICTURE_LIMIT + 1)
        except OSError as error:
            raise CheckpointError(f"cannot be read: {error.strerror}", where=path) from None
        if len(content) > PICTURE_LIMIT or not content.startswith(_PNG):
            raise CheckpointError("not a PNG picture of sensible size", where=path)
        found[theme] = content
    return found
