"""Places: every failure while reading becomes a ``BadInput`` that names its place exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anymae.errors import AnyMAEError, BadInput, begins


@contextmanager
def placed(where: str | Callable[[], str], name: str | None = None) -> Iterator[None]:
    """Errors raised inside are ``BadInput`` at ``where``, asked for only when there is one.

    ``name`` is what the reader inside was told the thing is called: if it put that in front, it
    is replaced, not repeated. Running out of memory and errors that are nobody's input (a missing
    package) pass through.
    """
    try:
        yield
    except BadInput as error:
        raise _at(error, _shown(where), name) from error.__cause__
    except (AnyMAEError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(explained(error), where=_shown(where)) from error


def explained(error: Exception) -> str:
    """The type and the text of a foreign exception, short enough for one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"{type(error).__name__}: {str(error)[:300]}" if str(error) else type(error).__name__


def _shown(where: str | Callable[[], str]) -> str:
    return where if isinstance(where, str) else where()


def _at(error: BadInput, place: str, name: str | None) -> AnyMAEError:
    inner = error.where
    if inner is not None and begins(inner, place):
        return error
    if name is not None and inner is not None and begins(inner, name):
        inner = inner[len(name) :].lstrip(",:; ") or None
    bare = BadInput(
        error.what, where=inner, found=error.found, expected=error.expected, hint=error.hint
    )
    return bare.at(place)
