"""Run: what ``pretrain`` returns, and what a run folder holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from anymae.config import validated
from anymae.errors import BadConfig, CheckpointError
from anymae.model import Model, ModelConfig
from anymae.precision import Precision
from anymae.registry import modality
from anymae.storage import FORMAT, read_json
from anymae.targets import Content

NOT_IDENTITY = {"workers", "log_every", "keep", "checkpoint_every", "recompute"}
"""Training fields that may change when a run is continued: they are no part of its result."""


class RunConfig(BaseModel):
    """Everything that makes a run that run: ``config.json``. Rerunning it reproduces the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    model: ModelConfig
    seed: int
    precision: Precision
    validation: float | str | None
    """The fraction held out, the path of the validation data, or ``"given"``."""
    data: str
    """The data's fingerprint."""
    data_path: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Arguments with which ``pretrain`` repeats this run on the same data."""
        if self.validation == "given":
            raise BadConfig(
                "this run's validation data were not a path, so they cannot be found again",
                hint="Call anymae.pretrain with the same arguments instead.",
            )
        return {
            "modality": validated(modality(self.model.modality), self.model.adapter, "adapter"),
            "recipe": self.model.recipe,
            "size": self.model.encoder,
            "seed": self.seed,
            "precision": self.precision,
            "validation": self.validation,
        }

    def refuse_difference(self, other: RunConfig, folder: Path) -> None:
        """Raise ``BadConfig`` naming the first field in which another configuration differs."""
        for name, mine, theirs in _differences(self._identity(), other._identity(), ""):
            raise BadConfig(
                f"this folder belongs to a run with another {name}",
                where=folder,
                found=f"{theirs!r:.80}",
                expected=f"{mine!r:.80}",
                hint="Choose another out, or resume='never' in a new folder.",
            )

    def _identity(self) -> dict[str, Any]:
        fields = self.model_dump(mode="json")
        training = fields["model"]["recipe"]["training"]
        fields.pop("data_path")
        return fields | {"training": {k: v for k, v in training.items() if k not in NOT_IDENTITY}}


def _differences(mine: Any, theirs: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        # Causes first: the seed decides which data are held out, the data what is learned of them.
        for key in sorted(mine.keys() | theirs.keys(), key=lambda k: (k != "seed", k != "data", k)):
            if key == "training" and path.endswith("recipe"):
                continue  # compared at the top, without the fields that may change
            yield from _differences(mine.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))
    elif mine != theirs:
        yield path, mine, theirs


def read_run_config(folder: Path) -> RunConfig:
    """The configuration of a run folder. Raises ``CheckpointError``, ``BadConfig``."""
    path = folder / "config.json"
    if not path.exists():
        raise CheckpointError("not a run folder", where=folder, expected="config.json in it")
    return validated(RunConfig, read_json(path), str(path))


@dataclass(frozen=True)
class Run:
    """A finished pretraining: ``model`` (CPU, eval mode), ``history`` (a dict a logged step) and
    the run folder ``path``. ``samples`` are a few held-out (or training) samples for pictures."""

    model: Model
    history: list[dict[str, Any]]
    path: Path
    samples: list[Any] = field(default_factory=list, repr=False)

    def report(self) -> Path:
        """Write ``report.html``, one self-contained file, and return its path."""
        from anymae.report import write_report
        from anymae.report.artifacts import save_reconstruction

        if self.samples and isinstance(self.model.recipe.target, Content):
            with suppress(NotImplementedError):  # an adapter need not say how to draw
                save_reconstruction(self.path, self.model.reconstruct(self.samples))
        return write_report([self.path])
