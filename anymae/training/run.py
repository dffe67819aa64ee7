"""Run: what ``pretrain`` returns, and what a run folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from anymae.errors import BadConfig
from anymae.model import Model, ModelConfig
from anymae.storage import FORMAT

NOT_IDENTITY = {"workers", "log_every", "keep", "checkpoint_every"}
"""Training fields that may change when a run is continued: they are no part of its result."""


class RunConfig(BaseModel):
    """Everything that makes a run that run: ``config.json``. Rerunning it reproduces the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    model: ModelConfig
    seed: int
    precision: Literal["fp32", "bf16"]
    validation: float | str | None
    data: str

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
        return fields | {"training": {k: v for k, v in training.items() if k not in NOT_IDENTITY}}


def _differences(mine: Any, theirs: Any, path: str):
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            if key == "training" and path.endswith("recipe"):
                continue  # compared at the top, without the fields that may change
            yield from _differences(mine.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))
    elif mine != theirs:
        yield path, mine, theirs


@dataclass(frozen=True)
class Run:
    """A finished pretraining: ``model`` (CPU, eval mode), ``history`` (a dict a logged step) and
    the run folder ``path``."""

    model: Model
    history: list[dict[str, Any]]
    path: Path

    def report(self) -> Path:
        """Write ``report.html``, one self-contained file, and return its path."""
        from anymae.report import write_report

        return write_report([self.path])
