"""Bad samples that are skipped: listed in the run folder, counted, and too many of them stop it."""

from __future__ import annotations

import csv

from anymae.errors import AnyMAEError, BadInput
from anymae.storage import cannot_write
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
) -> None:
    """Add this process's ``errors`` to ``listed`` and to ``bad_samples.csv``.

    Called by every process in a step in which any had one. Raises ``BadInput`` where a whole step
    was bad, or more than ``training.bad_samples`` of the ``drawn`` samples so far.
    """
    listed += [[str(e.where), str(e)] for e in errors]
    if errors:
        _write(setup, listed)
    found = setup.world.sum(len(listed))[0]
    if all_bad or found > max(FORGIVEN, setup.training.bad_samples * drawn):
        raise BadInput(
            "too many bad samples",
            where=setup.folder / "bad_samples.csv",
            found=f"{found:.0f} of {drawn} drawn",
            expected=f"at most {setup.training.bad_samples:.0%} (training.bad_samples)",
            hint=f"The last: {errors[-1]}" if errors else None,
        )


def _write(setup: Setup, rows: list[list[str]]) -> None:
    suffix = "" if setup.world.leads else f"-{setup.world.rank}"
    path = setup.folder / f"bad_samples{suffix}.csv"
    try:
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["where", "reason"])
            writer.writerows([_as_text(cell) for cell in row] for row in rows)
    except OSError as error:
        raise cannot_write(path, error) from None


def _as_text(cell: str) -> str:
    """A file name that begins like a formula must not become one in a spreadsheet."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
