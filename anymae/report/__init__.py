"""Reports: what a run did, as pictures and as one self-contained HTML file.

A report is made from what lies in the run folder and nothing else, so it can be written again at
any time, on any machine, without the data and without the model's weights being read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anymae.inference import Reconstruction

__all__ = ["write_report"]


def write_report(
    runs: Sequence[Path],
    out: Path | None = None,
    scores: Mapping[str, Any] | None = None,
    diagnosis: Mapping[str, Any] | None = None,
    reconstruction: Reconstruction | None = None,
) -> Path:
    """Write the report of one run, or a comparison of several, and return its path.

    ``runs`` are run folders. ``out`` is the HTML file; None: ``report.html`` in the run folder,
    or for several runs beside the first one's folder. ``scores`` (``Scores``, or several by
    name), ``diagnosis`` and ``reconstruction`` are first kept in the run folder, as
    ``report.artifacts`` does. Raises ``CheckpointError`` for a folder that is no run, is damaged
    or cannot be written to, ``BadConfig`` for no run, or results with several.
    """
    from anymae.errors import BadConfig
    from anymae.report import artifacts
    from anymae.report.page import render
    from anymae.report.record import read_run

    folders = [Path(run) for run in runs]
    if not folders:
        raise BadConfig("there is no run to report", expected="one run folder or more")
    results = (scores, diagnosis, reconstruction)
    if len(folders) > 1 and any(result is not None for result in results):
        raise BadConfig(
            "results belong to one run, and several are to be compared",
            hint="Save them with anymae.report.artifacts, then compare.",
        )
    records = [read_run(folder) for folder in folders]
    if any(result is not None for result in results):
        artifacts.save_all(folders[0], *results)
        records = [read_run(folders[0])]
    if out is None:
        parent = folders[0] if len(folders) == 1 else folders[0].resolve().parent
        out = parent / "report.html"
    artifacts.write_whole(Path(out), render(records).encode())
    return Path(out)
