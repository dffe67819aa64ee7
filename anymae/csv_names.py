"""The first line of a csv file: how many names it has, and whether they are names."""

from __future__ import annotations

from collections.abc import Sequence

from anymae.errors import BadInput
from anymae.limits import LIMITS


def refuse_numbers(names: Sequence[str]) -> None:
    """Raise ``BadInput`` if the names of columns are numbers: a first row would be lost. Their
    places, as pandas writes columns that have no names, are names."""
    counted = [str(place) for place in range(len(names))]
    if names and list(names) != counted and all(map(_is_number, names)):
        raise BadInput(
            "the first line must hold the names of the columns",
            where="line 1",
            found=", ".join(names)[:80],
            hint="Put a line of names before the numbers.",
        )


def refuse_many(first_line: bytes, delimiter: str) -> None:
    """Raise ``BadInput`` for more columns than ``Limits.csv_columns``: each costs kilobytes."""
    columns = first_line.count(delimiter.encode()) + 1
    if columns > LIMITS.csv_columns:
        raise BadInput(
            "too many columns",
            where="line 1",
            found=f"{columns:,}",
            expected=f"at most {LIMITS.csv_columns:,}",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
