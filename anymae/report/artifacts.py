"""Artifacts: results kept in a run folder, from where the report takes them.

``evaluations/<name>.json`` holds scores or a diagnosis, ``pictures/reconstruction.png`` (and its
dark twin) the reconstructions. Files appear complete or not at all; none is a pickle.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anymae.config import validated
from anymae.errors import BadConfig
from anymae.storage import cannot_write, write_json

if TYPE_CHECKING:
    from anymae.inference import Reconstruction

EVALUATIONS = "evaluations"
PICTURES = {
    theme: f"pictures/reconstruction{end}.png" for theme, end in (("light", ""), ("dark", "-dark"))
}
_BESIDE = ("raw", "random_init", "over_raw", "over_random_init")
_EXPLAINING = ("task", "train_samples", "test_samples", "how", "raw_features")
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,99}")


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Measured(_Kept):
    """One figure and its 95 % interval, if it has one."""

    value: float | None
    interval: tuple[float, float] | None = None


class KeptScores(_Kept):
    """A protocol's result on three kinds of features, and the differences; higher is better.

    ``train_samples``, ``test_samples``, ``how`` (what intervals are over) and ``raw_features``
    (what the raw features are) explain it.
    """

    kind: Literal["scores"] = "scores"
    name: str
    metric: str
    task: str | None = None
    train_samples: int | None = None
    test_samples: int | None = None
    how: str | None = None
    raw_features: str | None = None
    pretrained: Measured
    raw: Measured | None = None
    random_init: Measured | None = None
    over_raw: Measured | None = None
    over_random_init: Measured | None = None


class KeptDiagnosis(_Kept):
    """Figures found without labels, by name, and what they warn of."""

    kind: Literal["diagnosis"] = "diagnosis"
    name: str
    figures: dict[str, float | int | str | bool | None]
    warnings: tuple[str, ...] = ()


class Kept(_Kept):
    """What an evaluation file holds."""

    content: Annotated[KeptScores | KeptDiagnosis, Field(discriminator="kind")]


def save_scores(run_path: Path, name: str, scores: Mapping[str, Any]) -> Path:
    """Keep ``Scores`` as ``evaluations/<name>.json`` in a run folder; returns the file.

    Raises ``BadConfig`` for a name that is no plain file name, ``CheckpointError``.
    """
    fields = {
        "name": name,
        "metric": scores.get("metric"),
        "pretrained": _measured(scores),
        **{side: _measured(scores.get(side)) for side in _BESIDE},
        **{word: scores.get(word) for word in _EXPLAINING},
    }
    return _save(Path(run_path), validated(KeptScores, fields, "scores"))


def save_diagnosis(run_path: Path, diagnosis: Mapping[str, Any], name: str = "diagnosis") -> Path:
    """Keep a ``Diagnosis`` (its single figures and ``warnings``) as ``evaluations/<name>.json``
    in a run folder; returns the file. Raises as ``save_scores`` does."""
    fields = {
        "name": name,
        "figures": {k: _figure(v) for k, v in diagnosis.items() if _is_single(v)},
        "warnings": tuple(diagnosis.get("warnings") or ()),
    }
    return _save(Path(run_path), validated(KeptDiagnosis, fields, "diagnosis"))


def save_reconstruction(run_path: Path, reconstruction: Reconstruction, columns: int = 8) -> Path:
    """Draw the first ``columns`` samples into ``pictures/`` of a run folder, for light and for
    dark pages; returns the light picture. Raises ``CheckpointError``."""
    from anymae.report.pictures import reconstruction_png

    for theme, place in PICTURES.items():
        write_whole(Path(run_path) / place, reconstruction_png(reconstruction, columns, theme))
    return Path(run_path) / PICTURES["light"]


def save_all(
    run_path: Path,
    scores: Mapping[str, Any] | None,
    diagnosis: Mapping[str, Any] | None,
    reconstruction: Reconstruction | None,
) -> None:
    """Keep what is given; ``scores`` may be one ``Scores`` or several by name."""
    if scores is not None:
        single = "metric" in scores
        named = {str(scores.get("protocol", "scores")): scores} if single else scores
        for name, one in named.items():
            save_scores(run_path, name, one)
    if diagnosis is not None:
        save_diagnosis(run_path, diagnosis)
    if reconstruction is not None:
        save_reconstruction(run_path, reconstruction)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all. Raises ``CheckpointError``."""
    _replace(path, lambda scratch: scratch.write_bytes(content))


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Have a file written under another name, then give it its own."""
    scratch = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(scratch)
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def _save(run_path: Path, kept: KeptScores | KeptDiagnosis) -> Path:
    if not _SAFE_NAME.fullmatch(kept.name):
        raise BadConfig(
            "an evaluation is kept under a plain file name",
            found=repr(kept.name),
            expected="letters, digits, space and _ . + -",
        )
    path = run_path / EVALUATIONS / f"{kept.name}.json"
    _replace(path, lambda scratch: write_json(scratch, Kept(content=kept)))
    return path


def _measured(found: Any) -> dict[str, Any] | None:
    """``value`` and ``interval`` of a number, or of a mapping with them."""
    if not isinstance(found, Mapping):
        return None if found is None else {"value": _figure(found)}
    bounds = [_figure(bound) for bound in found.get("interval") or ()]
    return {
        "value": _figure(found.get("value")),
        "interval": tuple(bounds) if bounds and None not in bounds else None,
    }


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float) or hasattr(value, "item")


def _figure(value: Any) -> Any:
    """A plain number, word or None: arrays of one element unwrapped, non-finite numbers None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
