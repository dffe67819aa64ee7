"""The members of a tar file, header by header, with every byte accounted for.

The standard library takes a damaged header for the end of the archive, so that the rest vanishes
without a word. Here the walk must reach an end marker with nothing but zeros behind it.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple, NoReturn

from anymae.errors import BadInput
from anymae.limits import Limits

_BLOCK = tarfile.BLOCKSIZE
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


class Member(NamedTuple):
    """A file in a tar: its name and where its bytes are."""

    name: str
    offset: int
    size: int
    header: int


def walk(file: IO[bytes], limits: Limits) -> Iterator[Member]:
    """The regular files of an uncompressed tar, in order.

    Directories are left out. Raises ``BadInput`` naming the byte for damaged headers, cut files,
    a missing end marker, and members that are links or devices or lie outside the archive.
    """
    end = os.fstat(file.fileno()).st_size
    header = 0
    extended: dict[str, str] = {}
    while True:
        info = _header(file, header, end)
        if info is None:
            return
        offset = header + _BLOCK
        is_file = info.type in _FILES
        size = int(extended.get("size", info.size)) if is_file else info.size
        if not 0 <= size <= end - offset:
            _refuse(header, "the member is cut", f"{size} bytes claimed, {end - offset} left")
        if info.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            extended |= _extended(file, info, header, limits)
        elif info.type != tarfile.XGLTYPE:
            name = extended.get("path", info.name)
            if is_file:
                yield Member(_safe(name, header), offset, size, header)
            elif not info.isdir():
                _refuse(header, f"member {name!r} is no file", "a link or a device")
            extended = {}
        header = offset + -(-size // _BLOCK) * _BLOCK


def _header(file: IO[bytes], at: int, end: int) -> tarfile.TarInfo | None:
    """The header at a byte; None at a proper end of the archive."""
    file.seek(at)
    block = file.read(_BLOCK)
    if not block:
        _refuse(at, "the shard is cut", "the end of the file", "an end marker")
    if not block.strip(b"\0"):
        _refuse_rest(file, at, end)
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        _refuse(at, "damaged tar header", str(error), "a tar header or the end marker")


def _refuse_rest(file: IO[bytes], at: int, end: int) -> None:
    """Refuse an end marker that is cut, or is followed by data."""
    file.seek(at)
    position = at
    while chunk := file.read(1 << 20):
        rest = chunk.lstrip(b"\0")
        if rest:
            position += len(chunk) - len(rest)
            _refuse(position, "data after the end marker", f"a marker at byte {at}", "only zeros")
        position += len(chunk)
    if end - at < 2 * _BLOCK:
        _refuse(at, "the end marker is cut", f"{end - at} zero bytes", f"at least {2 * _BLOCK}")


def _extended(
    file: IO[bytes], info: tarfile.TarInfo, header: int, limits: Limits
) -> dict[str, str]:
    """The path and size that an extended header sets for the next member."""
    if info.size > limits.tar_header_bytes:
        _refuse(header, "extended header too large", f"{info.size} bytes")
    file.seek(header + _BLOCK)
    data = file.read(info.size)
    if info.type == tarfile.GNUTYPE_LONGLINK:
        return {}
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    return _pax(data, header)


def _pax(data: bytes, header: int) -> dict[str, str]:
    """Records ``length key=value`` of a pax header; others than path and size are left out."""
    found: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        length = re.compile(rb"(\d{1,9}) ").match(data, position)
        stop = position + int(length.group(1)) if length else position
        if length is None or not length.end() < stop <= len(data):
            _refuse(header, "damaged extended header", f"no record at its byte {position}")
        record = data[length.end() : stop - 1].decode("utf-8", "surrogateescape")
        key, _, value = record.partition("=")
        if key.startswith("GNU.sparse") or (key == "size" and not re.fullmatch(r"\d{1,18}", value)):
            _refuse(header, "extended header not read", record[:100])
        if key in ("path", "size"):
            found[key] = value
        position = stop
    return found


def _safe(name: str, header: int) -> str:
    while name.startswith("./"):
        name = name[2:]
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        _refuse(header, "a member must lie inside the archive", f"the name {name!r}")
    return name


def _refuse(byte: int, what: str, found: str, expected: str | None = None) -> NoReturn:
    raise BadInput(what, where=f"byte {byte}", found=found, expected=expected)
