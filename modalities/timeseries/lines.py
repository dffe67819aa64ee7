"""Lines of csv files: what pandas passes over in silence is refused with its line.

It takes a first row of numbers for names, gives a second column of one name another, and fills up
rows that are too short.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from anymae.csv_names import refuse_many, refuse_numbers
from anymae.errors import BadInput


def read_csv(file: Any, delimiter: str) -> Any:
    """A DataFrame from a path or an open binary file. Raises ``BadInput``, and whatever pandas
    raises."""
    import pandas as pd

    with open(file, "rb") if isinstance(file, str | Path) else nullcontext(file) as content:
        refuse_many(content.readline(), delimiter)
        content.seek(0)
        names = next(_rows(content, delimiter), (0, []))[1]
        _refuse_names(names)
        content.seek(0)
        frame = pd.read_csv(content, sep=delimiter)
        if len(frame) and frame.iloc[:, -1].isna().any():  # as in a row that was filled up
            content.seek(0)
            _refuse_short(content, delimiter, len(names))
    return frame


def _refuse_names(names: list[str]) -> None:
    twins = [name for name, count in Counter(names).items() if name and count > 1]
    if twins:
        raise BadInput("columns must have names of their own", found=f"{twins[0]!r:.80} twice")
    refuse_numbers(names)


def _refuse_short(content: BinaryIO, delimiter: str, columns: int) -> None:
    for line, row in _rows(content, delimiter):
        if 0 < len(row) < columns:
            raise BadInput(
                "a row ends early",
                where=f"line {line}",
                found=f"{len(row)} cells",
                expected=columns,
            )


def _rows(content: BinaryIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers, from 1, and the cells of each row."""
    text = io.TextIOWrapper(content, "utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise BadInput(f"not lines of csv: {error}", where=f"line {reader.line_num}") from None
    finally:
        text.detach()  # or it would close the file
