"""Damaged files of every format: read, or refused by name; never a crash or a hang (I4)."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import anymae
from anymae.data.batches import tokenized
from anymae.data.sources import open_source
from anymae.errors import AnyMAEError

from . import formats
from .corpus import write_good
from .forked import MB, forked

FORMATS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a.png": ("image", formats.png),
    "a.jpg": ("image", lambda: formats.picture("JPEG", 0)),
    "a.webp": ("image", lambda: formats.picture("WEBP", 0)),
    "a.gif": ("image", lambda: formats.picture("GIF", 0, "L")),
    "a.bmp": ("image", lambda: formats.picture("BMP", 0)),
    "a.tif": ("image", lambda: formats.picture("TIFF", 0)),
    "a.ppm": ("image", lambda: formats.picture("PPM", 0)),
    "a.npy": ("image", lambda: formats.npy(np.ones((8, 8, 3), np.float32))),
    "b.avi": ("video", formats.avi),
    "b.mp4": ("video", formats.mp4),
    "b.gif": ("video", lambda: formats.picture("GIF", 0, "L")),
    "c.wav": ("audio", formats.wav),
    "c.flac": ("audio", formats.flac),
    "c.ogg": ("audio", formats.ogg),
    "d.xyz": ("pointcloud", lambda: formats.lines(formats.cloud()).encode()),
    "d.ply": ("pointcloud", formats.ply),
    "d2.ply": ("pointcloud", formats.ply_binary),
    "d3.ply": ("pointcloud", formats.ply_mesh),
    "d4.ply": ("pointcloud", lambda: formats.ply_mesh("binary_little_endian")),
    "d.pcd": ("pointcloud", formats.pcd),
    "d2.pcd": ("pointcloud", lambda: formats.pcd(form="binary")),
    "d.off": ("pointcloud", formats.off),
    "d.obj": ("pointcloud", formats.obj),
    "e.npz": ("graph", formats.graph),
    "f.csv": ("timeseries", formats.csv),
    "f.npy": ("timeseries", lambda: formats.npy(formats.table())),
    "g.csv": ("tabular", formats.csv),
    "g.parquet": ("tabular", formats.parquet),
}


def flipped(content: bytes, draw: np.random.Generator) -> bytes:
    data = np.frombuffer(content, np.uint8).copy()
    for place in draw.integers(0, len(data), 1 + len(data) // 200):
        data[place] ^= 1 << int(draw.integers(8))
    return data.tobytes()


def flipped_early(content: bytes, draw: np.random.Generator) -> bytes:
    return flipped(content[:64], draw) + content[64:]


def cut(content: bytes, draw: np.random.Generator) -> bytes:
    return content[: int(draw.integers(len(content)))]


def repeated(content: bytes, draw: np.random.Generator) -> bytes:
    start, stop = _part(content, draw)
    return content[:stop] + content[start:stop] * int(draw.integers(1, 4)) + content[stop:]


def zeroed(content: bytes, draw: np.random.Generator) -> bytes:
    start, stop = _part(content, draw)
    return content[:start] + bytes(stop - start) + content[stop:]


def rotated(content: bytes, draw: np.random.Generator) -> bytes:
    place = int(draw.integers(len(content)))
    return content[place:] + content[:place]


def _part(content: bytes, draw: np.random.Generator) -> tuple[int, int]:
    start, stop = sorted(draw.integers(0, len(content) + 1, 2).tolist())
    return start, stop


DAMAGE = (flipped, flipped_early, cut, repeated, zeroed, rotated)


def attempt(path: Path, adapter: anymae.Adapter) -> str:
    """What is wrong with how a file is read: empty if it gives finite tokens or is refused by
    name in one line."""
    try:
        source = open_source(str(path) if adapter.name == "tabular" else [str(path)], adapter)
        packed = tokenized(adapter, [source[0]], [source.where(0)])
        values = packed.side["observed"] * packed.values if packed.side else packed.values
        return "" if bool(values.isfinite().all()) else "tokens that are not finite"
    except AnyMAEError as error:
        text = str(error)
        named = text.startswith(str(path)) and "\n" not in text and len(text) < 1000
        return "" if named else f"the message {text!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def faults(folder: Path, name: str, seeds: range) -> list[str]:
    """Whatever is wrong with how damaged versions of one file are read."""
    modality, make = FORMATS[name]
    adapter = anymae.modalities()[modality]()
    good = folder / name if modality == "tabular" else write_good(folder / "good", modality)
    (folder / name).write_bytes(make())
    adapter = adapter.fit(open_source(str(good), adapter))
    found = []
    for seed in seeds:
        damage = DAMAGE[seed % len(DAMAGE)]
        draw = np.random.default_rng(zlib.crc32(f"{name} {seed}".encode()))
        (folder / name).write_bytes(damage(make(), draw))
        wrong = attempt(folder / name, adapter)
        if wrong:
            found.append(f"seed {seed}, {damage.__name__}: {wrong}")
    return found


@pytest.fixture(scope="module")
def libraries() -> None:
    """What every forked process would load anew."""
    import av  # noqa: F401
    import open3d  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import soundfile  # noqa: F401
    import tifffile  # noqa: F401


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_refused_by_name_or_harmless(name, tmp_path, libraries):
    outcome = forked(lambda: faults(tmp_path, name, range(12)))
    assert outcome.value == []
    assert outcome.extra < 500 * MB


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_refused_by_name_or_harmless(name, tmp_path, libraries):
    outcome = forked(lambda: faults(tmp_path, name, range(12, 300)), seconds=240)
    assert outcome.value == []
    assert outcome.extra < 500 * MB
