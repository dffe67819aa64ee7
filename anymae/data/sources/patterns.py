"""Patterns: ``{00..15}``, ``{a,b}``, ``*``, ``?``, ``[...]`` and ``**`` in paths.

Nothing is ever handed to a shell.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from anymae.data.sources.names import printable
from anymae.errors import BadInput
from anymae.limits import Limits

_BRACES: Final = re.compile(r"\{(?:(\d{1,18})\.\.(\d{1,18})|([^{}]*,[^{}]*))\}")
_WILD: Final = re.compile(r"[*?\[]")
_MOST_BRACES: Final = 20


def is_pattern(text: str) -> bool:
    """Whether a path that does not exist as it is written means many."""
    return bool(_WILD.search(text) or _BRACES.search(text))


def fixed_part(pattern: str) -> str:
    """The folder above the first part with a wildcard or braces."""
    return re.split(r"[*?\[{]", pattern, maxsplit=1)[0].rpartition("/")[0]


def expand(pattern: str, limits: Limits) -> list[str]:
    """The paths a pattern means: braces in their order, wildcards sorted, nothing twice.

    A path from braces alone must exist. Raises ``BadInput`` naming the first that does not, and
    for a pattern that means more than ``limits.pattern_files`` paths.
    """
    if len(_BRACES.findall(pattern)) > _MOST_BRACES:
        raise BadInput("too many braces", where=pattern[:200], expected=f"up to {_MOST_BRACES}")
    plain = list(itertools.islice(_without_braces(pattern), limits.pattern_files + 1))
    if len(plain) > limits.pattern_files:
        raise BadInput(
            "the pattern means too many paths",
            where=pattern,
            found=f"more than {limits.pattern_files}",
        )
    paths: dict[str, None] = {}
    for text in plain:
        if os.path.exists(text):
            paths[text] = None
        elif _WILD.search(text):
            paths.update(dict.fromkeys(_globbed(text)))
        else:
            raise missing(text)
    return list(paths)


def _without_braces(pattern: str) -> Iterator[str]:
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    first, last, words = braces.groups()
    inner: Iterator[str] | list[str]
    if words is None:
        step = 1 if int(first) <= int(last) else -1
        width = len(first) if first.startswith("0") or last.startswith("0") else 0
        inner = (f"{n:0{width}d}" for n in range(int(first), int(last) + step, step))
    else:
        inner = words.split(",")
    for word in inner:
        yield from _without_braces(pattern[: braces.start()] + word + pattern[braces.end() :])


def _globbed(pattern: str) -> list[str]:
    """Files, sorted, none of them hidden; ``**`` does not follow links to folders."""
    root = fixed_part(pattern)
    rest = pattern[len(root) :].lstrip("/")
    start = Path(root or ("/" if pattern.startswith("/") else "."))
    # pathlib, not glob: the latter follows links to folders round and round.
    try:
        found = list(start.glob(rest + "/*" if rest.endswith("**") else rest))
    except (ValueError, NotImplementedError) as error:
        raise BadInput(str(error), where=pattern) from None
    visible = (path for path in found if not _hidden(path.relative_to(start)))
    return sorted(str(path) for path in visible if path.is_file() or _is_broken_link(path))


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def missing(path: str) -> BadInput:
    """The error for a path that is not there, with its nearest parent and similar names."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return BadInput(
            "addresses are not read", where=path, hint="Download first, or mount the storage."
        )
    parent, name = os.path.split(os.path.abspath(path).replace("\0", "?"))
    while not os.path.isdir(parent):
        parent, name = os.path.split(parent)
    try:
        beside = sorted(itertools.islice(os.listdir(parent), 10_000))
    except OSError:
        beside = []
    near = difflib.get_close_matches(name, beside, n=3)
    return BadInput(
        "there is no such file or folder",
        where=printable(path),
        found=f"{printable(parent)} without {printable(name)!r}",
        hint=f"Similar: {', '.join(repr(printable(n)) for n in near)}." if near else None,
    )
