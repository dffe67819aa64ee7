"""Small files that claim to be huge: refused in one line, soon, in little memory (X5)."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import anymae
from anymae.cli import main
from anymae.errors import AnyMAEError

from . import formats
from .forked import MB, forked

TERABYTE = 10**12


def black(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def zeros(size: int) -> bytes:
    """A zip of one array of zeros, which is hundreds of times smaller."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|u1", "fortran_order": False, "shape": (size // 64, 8, 8)}
        )
        for _ in range(size // MB):
            member.write(bytes(MB))
    return file.getvalue()


def long_flac() -> bytes:
    """A header that claims 2^36 samples."""
    content = bytearray(formats.flac())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    return bytes(content)


def shard(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def claiming_shard() -> bytes:
    info = tarfile.TarInfo("a.png")
    info.size = TERABYTE
    return info.tobuf() + bytes(2048)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "square.png": ("image", lambda: black(13_000, 13_000)),
    "strip.png": ("image", lambda: black(400_000, 400)),
    "largest.png": ("image", lambda: formats.png_claiming(2**31 - 1, 2**31 - 1)),
    "zeros.npz": ("image", lambda: zeros(200 * MB)),
    "terabyte.npy": ("image", lambda: formats.npy_claiming("(1000000, 1000, 250)")),
    "picture-in.tar": ("image", lambda: shard("a.png", black(13_000, 13_000))),
    "terabyte.tar": ("image", claiming_shard),
    "hours.flac": ("audio", long_flac),
    "billions.ply": ("pointcloud", lambda: formats.ply_binary(2 * 10**9)),
    "billions.pcd": ("pointcloud", lambda: formats.pcd(2 * 10**9, "binary_compressed")),
    "billions.off": ("pointcloud", lambda: formats.off(2 * 10**9)),
    "terabyte-2.npy": ("pointcloud", lambda: formats.npy_claiming("(1000, 1000000, 250)")),
    "nodes.npz": (
        "graph",
        lambda: formats.npz({"edges": np.zeros((2, 0), int), "num_nodes": np.array(2**40)}),
    ),
    "far.npz": ("graph", lambda: formats.npz({"edges": np.array([[0], [2**62]])})),
    "array.npz": ("graph", lambda: formats.graph(x=formats.npy_claiming("(1000000000, 250)"))),
    "columns.csv": ("timeseries", lambda: b",".join([b"a"] * 400_000) + b"\n"),
    "columns-2.csv": ("tabular", lambda: b",".join([b"a"] * 400_000) + b"\n1\n"),
    "field.csv": ("tabular", lambda: b"a,b\n1," + b"x" * 20_000_000 + b"\n"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(name, tmp_path, capfd):
    modality, make = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(make())
    if modality == "pointcloud":
        pytest.importorskip("open3d")  # here, not in the forked process
    command = ["pretrain", str(path), "-m", modality, "--size", "nano", "--out", f"{tmp_path}/run"]
    status, extra = forked(lambda: main(command), seconds=20)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("anymae: ")]
    assert status == 2
    assert len(said) == 1
    assert name in said[0]
    assert len(said[0]) < 1000
    assert extra < 500 * MB


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder."""
    adapter = anymae.modalities()["image"]().fit([np.arange(64, dtype=np.uint8).reshape(8, 8)])
    config = anymae.EncoderConfig(width=24, depth=1, heads=2)
    folder = tmp_path_factory.mktemp("model") / "model"
    anymae.Model(adapter, anymae.recipes()["mae"], config).save(folder)
    return folder


DEEP = {
    "objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "lists": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "number": b'{"format":' + b"9" * 100_000 + b"}",
    "width": None,
}


@pytest.mark.parametrize("kind", DEEP)
def test_a_configuration_is_no_bomb(model, kind):
    path = model / "config.json"
    good = path.read_bytes()
    path.write_bytes(DEEP[kind] or good.replace(b'"width": 24', b'"width": 240000000'))
    try:
        outcome = forked(lambda: refusal(model), seconds=20)
    finally:
        path.write_bytes(good)
    assert "config.json" in outcome.value or "model.safetensors" in outcome.value
    assert outcome.extra < 500 * MB


def test_weights_are_no_bomb(model):
    path = model / "model.safetensors"
    good = path.read_bytes()
    path.write_bytes(struct.pack("<Q", TERABYTE) + good[8:])
    try:
        outcome = forked(lambda: refusal(model), seconds=20)
    finally:
        path.write_bytes(good)
    assert "model.safetensors" in outcome.value
    assert outcome.extra < 500 * MB


def refusal(folder: Path) -> str:
    try:
        anymae.load(folder)
    except AnyMAEError as error:
        return str(error)
    return "loaded"


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(20)),
        "[" * 100_000,
        "a: " * 100_000,
        "x" * 2_000_000,
    ],
    ids=["aliases", "depth", "nested", "size"],
)  # fmt: skip
def test_settings_are_no_bomb(text, tmp_path, capfd):
    (tmp_path / "settings.yaml").write_text(text)
    command = ["pretrain", str(tmp_path), "--config", str(tmp_path / "settings.yaml")]
    status, extra = forked(lambda: main(command), seconds=20)
    [said] = capfd.readouterr().err.splitlines()
    assert status == 2
    assert "settings.yaml" in said
    assert extra < 500 * MB
