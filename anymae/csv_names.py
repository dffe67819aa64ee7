"""The first line of a csv file: names, or numbers that a reader would take for names."""

from __future__ import annotations

from collections.abc import Sequence

from anymae.errors import BadInput


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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
