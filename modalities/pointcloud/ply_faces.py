"""Faces of ply files, looked at before Open3D reads them: it does not survive one of no corners."""

from __future__ import annotations

import struct
from collections.abc import Callable

from anymae.errors import BadInput

_CODES = {b"char": "b", b"uchar": "B", b"short": "h", b"ushort": "H", b"int": "i", b"uint": "I",
          b"float": "f", b"double": "d", b"int8": "b", b"uint8": "B", b"int16": "h",
          b"uint16": "H", b"int32": "i", b"uint32": "I", b"float32": "f",
          b"float64": "d"}  # fmt: skip
Take = Callable[[bytes, int], list[float]]
"""Takes the next so many numbers of a type."""


def refuse_faces(head: bytes, body: bytes, points: int, name: str) -> None:
    """Raise ``BadInput`` for the first list of a face that is not three or more of the points."""
    take = _words(body) if b"format ascii" in head else _numbers(body, b"big_endian" in head)
    kind, rows = b"", 0
    properties: list[list[bytes]] = []
    for line in [*head.splitlines(), b"element"]:
        words = line.split()
        if words[:1] == [b"property"]:
            properties.append(words[1:])
        elif words[:1] == [b"element"]:
            for row in range(rows):
                _refuse_row(take, kind, properties, points, f"{name}, {kind.decode()} {row}")
            kind, rows = (words[1], int(words[2])) if len(words) == 3 else (b"", 0)
            properties = []


def _refuse_row(
    take: Take, kind: bytes, properties: list[list[bytes]], points: int, where: str
) -> None:
    for words in properties:
        try:
            if words[0] != b"list":
                take(words[0], 1)
                continue
            [length] = take(words[1], 1)
            held = take(words[2], int(length)) if length >= 0 else []
        except (KeyError, IndexError, ValueError, struct.error):
            raise BadInput("the file ends early, or is no ply file", where=where) from None
        is_face = kind == b"face" and words[-1].startswith(b"vertex_ind")
        if is_face and (len(held) < 3 or not all(0 <= corner < points for corner in held)):
            raise BadInput(
                "not a face",
                where=where,
                found=str(held)[:80],
                expected=f"three or more of the points 0 to {points - 1}",
            )


def _words(body: bytes) -> Take:
    words = body.split()
    place = 0

    def take(_: bytes, count: int) -> list[float]:
        nonlocal place
        place += count
        if place > len(words):
            raise IndexError
        return [float(word) for word in words[place - count : place]]

    return take


def _numbers(body: bytes, big: bool) -> Take:
    place = 0

    def take(number_type: bytes, count: int) -> list[float]:
        nonlocal place
        form = struct.Struct(f"{'>' if big else '<'}{count}{_CODES[number_type]}")
        place += form.size
        return list(form.unpack_from(body, place - form.size))

    return take
