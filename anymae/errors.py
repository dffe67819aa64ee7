"""Every error a user of anymae can meet; all are returned intact by loader workers.

    AnyMAEError                      exit status 2 unless noted
    |-- BadInput (ValueError)        a file, sample, row or field is not what it should be
    |-- BadConfig (ValueError)       an option, name or combination of options is wrong
    |-- IncompatibleRecipe           a recipe's part needs what this modality does not have
    |-- MissingExtra (ImportError)   an optional package is not installed
    |-- CheckpointError              a checkpoint or model folder cannot be used
    |-- Diverged                     training left the finite numbers                (status 3)
    `-- Interrupted                  asked to stop; the last step is checkpointed    (status 130)

Every message says where, what was found, what was expected and what to do. An error is one
string plus keywords, so that it survives pickling between processes unchanged.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class AnyMAEError(Exception):
    """Root of all errors of this package.

    ``where`` names the file, sample, row or field; ``found`` and ``expected`` are shown as they
    are; ``hint`` says what to do. All are optional and joined into one line.
    """

    status = 2

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.found = None if found is None else str(found)
        self.expected = None if expected is None else str(expected)
        self.hint = hint
        super().__init__(self._line())

    def _line(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.found is not None:
            line += f"; found {self.found}"
        if self.expected is not None:
            line += f"; expected {self.expected}"
        if self.hint:
            line += f". {self.hint}"
        return " ".join(_shown(line).split())

    def at(self, where: object) -> AnyMAEError:
        """The same error with ``where`` put in front, unless it begins with that: readers know the
        field, callers the file."""
        if self.where is not None and begins(self.where, str(where)):
            return self
        place = f"{where}, {self.where}" if self.where else str(where)
        return _rebuild(type(self), self.what, place, self.found, self.expected, self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.what,
            self.where,
            self.found,
            self.expected,
            self.hint,
        )


def begins(where: str, place: str) -> bool:
    """Whether ``where`` is a place or something in it (``place, line 3``, ``place[key]``)."""
    return where == place or (where.startswith(place) and where[len(place)] in ",:; [/")


def _shown(text: str) -> str:
    """Text of files and their names with what would steer a terminal written out."""
    return "".join(
        c if c.isprintable() or c.isspace() else c.encode("unicode_escape").decode() for c in text
    )


def _rebuild(
    cls: type[AnyMAEError],
    what: str,
    where: str | None,
    found: str | None,
    expected: str | None,
    hint: str | None,
) -> AnyMAEError:
    return cls(what, where=where, found=found, expected=expected, hint=hint)


class BadInput(AnyMAEError, ValueError):
    """A file, sample, row or field is not what it should be."""


class BadConfig(AnyMAEError, ValueError):
    """An option, a name or a combination of options is wrong."""


class IncompatibleRecipe(AnyMAEError):
    """A part of a recipe needs something (a grid, edges, time) that the modality lacks."""


class MissingExtra(AnyMAEError, ImportError):
    """An optional package is needed for what was asked."""


class CheckpointError(AnyMAEError):
    """A checkpoint or model folder is damaged, foreign or does not fit."""


class Diverged(AnyMAEError):
    """Training produced non-finite numbers and could not be recovered."""

    status = 3


class Interrupted(AnyMAEError):
    """Training was asked to stop and did so after a clean checkpoint."""

    status = 130


def unknown_name(kind: str, name: object, known: Iterable[str]) -> BadConfig:
    """The error for a name that does not exist, with the nearest known one and the whole list."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return BadConfig(
        f"unknown {kind} {name!r}",
        expected=f"one of {', '.join(names)}" if names else "none is known",
        hint=f"Did you mean {near[0]!r}?" if near else None,
    )


def missing_extra(package: str, extra: str, needed_for: str) -> MissingExtra:
    """The error for an optional package that is not installed."""
    return MissingExtra(
        f"{needed_for} needs the package {package!r}, which is not installed",
        hint=f"Run: pip install 'anymae[{extra}]'",
    )
