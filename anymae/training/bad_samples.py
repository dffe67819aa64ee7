"""Bad samples that are skipped: listed in the run folder, counted, and too many of them stop it."""

from __future__ import annotations

import csv
import json

from anymae.errors import AnyMAEError, BadInput
from anymae.storage import replaced
from anymae.training.setup import Setup

FORGIVEN = 10
"""Bad samples that never stop a run by themselves."""


def note_bad(
    setup: Setup,
    listed: list[list[str]],
    errors: list[AnyMAEError],
    drawn: int,
    *,
    all_bad: bool,
) -> list[list[str]]:
    """Those ``listed`` before and the ``errors`` of all processes, as ``bad_samples.csv`` has them.

    Called by every process in a step in which any had one. Raises ``BadInput`` where a whole step
    was bad, or more than ``training.bad_samples`` of the ``drawn`` samples so far.
    """
    mine = json.dumps([[str(e.where), str(e)] for e in errors])
    listed = listed + [row for text in setup.world.texts(mine) for row in json.loads(text)]
    with setup.world.together():
        if setup.world.leads:
            _write(setup, listed)
    if all_bad or len(listed) > max(FORGIVEN, setup.training.bad_samples * drawn):
        raise BadInput(
            "too many bad samples",
            where=setup.folder / "bad_samples.csv",
            found=f"{len(listed)} of {drawn} drawn",
            expected=f"at most {setup.training.bad_samples:.0%} (training.bad_samples)",
            hint=f"The last: {listed[-1][1]}",
        )
    return listed


def _write(setup: Setup, rows: list[list[str]]) -> None:
    path = setup.folder / "bad_samples.csv"
    with replaced(path) as scratch, open(scratch, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["where", "reason"])
        writer.writerows([_as_text(cell) for cell in row] for row in rows)


def _as_text(cell: str) -> str:
    """A file name that begins like a formula must not become one in a spreadsheet."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
