"""What the headers of point cloud files claim, held against what the files hold.

Open3D allocates whatever a header asks for, and where reading fails half-way it returns memory as
it was: so a file is measured, and its words are looked at, before it is decoded. Each function
returns (points, faces) and raises ``BadInput``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from anymae.errors import BadInput
from anymae.limits import LIMITS
from anymae.modalities.pointcloud.ply_faces import refuse_faces

HEADER_BYTES = 1 << 16
_PLY_SIZES = {b"char": 1, b"uchar": 1, b"short": 2, b"ushort": 2, b"int": 4, b"uint": 4,
              b"float": 4, b"double": 8, b"int8": 1, b"uint8": 1, b"int16": 2, b"uint16": 2,
              b"int32": 4, b"uint32": 4, b"float32": 4, b"float64": 8}  # fmt: skip


def ply(content: bytes, name: str) -> tuple[int, int]:
    """A ply file of either kind; what lists hold is not counted."""
    head = re.match(rb"ply\s.*?end_header\r?\n", content[:HEADER_BYTES], re.DOTALL)
    if not head or not head[0].isascii():
        raise BadInput("not a ply file: it has no complete ply header", where=name)
    counts: dict[bytes, int] = {}
    sizes, words = 0, 0  # at least, since lists may be empty
    count = lists = 0
    for line in head[0].splitlines():
        match line.split():
            case [b"element", kind, number]:
                if kind == b"vertex" and lists:
                    raise BadInput("the points of a ply file come before its lists", where=name)
                if not re.fullmatch(rb"\d{1,18}", number):
                    raise BadInput(
                        "a ply header counts in whole numbers",
                        where=name,
                        found=line.decode("ascii", "replace")[:80],
                    )
                count = counts[kind] = int(number)
            case [b"property", b"list", length, _, _]:
                lists += 1
                sizes, words = sizes + count * _PLY_SIZES.get(length, 1), words + count
            case [b"property", number_type, _]:
                sizes, words = sizes + count * _PLY_SIZES.get(number_type, 1), words + count
    body = content[head.end() :]
    refuse_short(body, b"format ascii" in head[0], sizes, words, name)
    if counts.get(b"face"):
        refuse_faces(head[0], body, counts.get(b"vertex", 0), name)
    return counts.get(b"vertex", 0), counts.get(b"face", 0)


def ply_of_doubles(content: bytes) -> bytes:
    """A ply file whose numbers, where they are text, may be any: a reader of whole numbers would
    stop at others."""
    head, end, body = content.partition(b"end_header")
    if b"format ascii" in head:
        head = re.sub(rb"(?m)^(property[ \t]+)(?!list\b)\w+", rb"\1double", head)
    return head + end + body


def pcd(content: bytes, name: str) -> tuple[int, int]:
    """A pcd file of any kind."""
    head = re.match(rb".*?^DATA[ \t]+(\w+)[ \t]*\r?\n", content[:HEADER_BYTES],
                    re.DOTALL | re.MULTILINE)  # fmt: skip
    if not head or not head[0].isascii():
        raise BadInput("not a pcd file: it has no complete pcd header", where=name)
    points = _pcd_numbers(head[0], b"POINTS")
    sizes = _pcd_numbers(head[0], b"SIZE")
    counts = _pcd_numbers(head[0], b"COUNT") or [1] * len(sizes)
    if len(points) != 1 or not sizes or len(counts) != len(sizes):
        raise BadInput("the pcd header is not complete", where=name,
                       expected="POINTS, SIZE and COUNT")  # fmt: skip
    if head[1] != b"binary_compressed":  # which Open3D checks itself
        size = points[0] * sum(s * c for s, c in zip(sizes, counts, strict=True))
        body, is_text = content[head.end() :], head[1] == b"ascii"
        refuse_short(body, is_text, size, points[0] * sum(counts), name)
        if is_text:
            _refuse_ragged(body, points[0], sum(counts), name)
    return points[0], 0


def _pcd_numbers(head: bytes, key: bytes) -> list[int]:
    found = re.search(rb"^" + key + rb"((?:[ \t]+\d{1,18})+)[ \t]*\r?$", head, re.MULTILINE)
    return [int(number) for number in found[1].split()] if found else []


def off(content: bytes, name: str) -> tuple[int, int]:
    """An off file: a word, then three counts, a line a point and a line a face."""
    text = re.sub(rb"#[^\n]*", b"", content)
    counts = re.match(rb"\s*[A-Z]*OFF\s+(\d{1,18})\s+(\d{1,18})\s+\d+\s", text)
    if not counts:
        raise BadInput("not an off file: it has no complete off header", where=name)
    points, faces = int(counts[1]), int(counts[2])
    refuse_short(text[counts.end() :], True, 0, 3 * points + 4 * faces, name)
    lines = [line.split() for line in text[counts.end() :].splitlines() if line.strip()]
    _refuse_faces(lines[points : points + faces], points, name)
    return points, faces


def _refuse_faces(faces: Sequence[Sequence[bytes]], points: int, name: str) -> None:
    """Raise ``BadInput`` for a face, (corners, point, point ...), that Open3D would not survive."""
    for row, face in enumerate(faces):
        corners = face[1 : 1 + int(face[0])] if face[0].isdigit() else []
        known = all(corner.isdigit() and int(corner) < points for corner in corners)
        if len(corners) < 3 or len(corners) < int(face[0]) or not known:
            raise BadInput(
                "not a face",
                where=f"{name}, face {row}",
                found=b" ".join(face).decode("ascii", "replace")[:80],
                expected=f"three or more of the points 0 to {points - 1}",
            )


def obj(content: bytes, name: str) -> tuple[int, int]:
    """An obj file has no header: its lines are counted."""
    lines = b"\n" + content
    return len(re.findall(rb"\n[ \t]*v[ \t]", lines)), len(re.findall(rb"\n[ \t]*f[ \t]", lines))


def refuse_short(body: bytes, is_text: bool, sizes: int, words: int, name: str) -> None:
    """Raise ``BadInput`` if a body has fewer bytes, or as text fewer numbers, than it needs, or
    other words."""
    found = []
    if is_text and 2 * words <= len(body) + 1:  # a number takes two characters at least
        found = body.split()
    if len(found) < words if is_text else len(body) < sizes:
        raise BadInput(
            "the file ends before what its header promises",
            where=name,
            found=f"{len(body):,} bytes of content",
            expected=f"{words:,} numbers" if is_text else f"{sizes:,} bytes",
        )
    _refuse_words(found, name)


def _refuse_words(found: list[bytes], name: str) -> None:
    for place, word in enumerate(found):
        try:
            too_large = abs(float(word)) > LIMITS.magnitude
        except ValueError:
            too_large = True
        if too_large:
            raise BadInput(
                "not a number, or too large",
                where=f"{name}, word {place} of its content",
                found=repr(word[:40].decode("ascii", "replace")),
                expected=f"numbers up to {LIMITS.magnitude:g}",
            )


def _refuse_ragged(body: bytes, points: int, numbers: int, name: str) -> None:
    for row, line in enumerate(body.splitlines()[:points]):
        if len(line.split()) != numbers:
            raise BadInput(
                "a line must hold one point",
                where=f"{name}, line {row} of its content",
                found=f"{len(line.split())} numbers",
                expected=numbers,
            )


CLAIMS: dict[str, Callable[[bytes, str], tuple[int, int]]] = {
    ".ply": ply,
    ".pcd": pcd,
    ".off": off,
    ".obj": obj,
}
