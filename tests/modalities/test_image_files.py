"""Image files: what Pillow, tifffile and numpy read, and what nobody should."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymae.adapter import read_file
from anymae.errors import BadInput, MissingExtra
from anymae.modalities.image.adapter import ImageAdapter

COLOUR = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
GREY = COLOUR[:, :, 0]
DEEP = GREY.astype(np.uint16) * 256 + GREY.T[:12, :12].max()
SMOOTH = np.linspace(0, 255, 12 * 16 * 3).reshape(12, 16, 3).astype(np.uint8)


def read(path: Path, **options) -> np.ndarray:
    return read_file(ImageAdapter(**options), path)


def refused(path: Path, **options) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(BadInput) as caught:
        read(path, **options)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# What is read


@pytest.mark.parametrize("ending", ["png", "bmp", "ppm", "tif", "tiff", "webp", "PNG"])
def test_colour_comes_back_exactly_from_files_that_lose_nothing(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if ending == "webp" else {}))
    found = read(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, COLOUR)


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "webp"])
def test_colour_comes_back_nearly_from_files_that_lose_something(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(SMOOTH).save(path, quality=95)
    found = read(path)
    assert found.shape == SMOOTH.shape
    assert np.abs(found.astype(int) - SMOOTH).mean() < 6


@pytest.mark.parametrize("ending", ["png", "tif", "pgm", "gif"])
def test_grey_comes_back_grey(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREY).save(path)
    found = read(path)
    if found.ndim == 3:  # a gif's palette makes it coloured
        assert (found == found[:, :, :1]).all()
        found = found[:, :, 0]
    np.testing.assert_array_equal(found, GREY)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(DEEP).save(path)
    found = read(path)
    assert found.dtype.kind == "u"
    assert found.dtype.itemsize == 2
    np.testing.assert_array_equal(found, DEEP)


def test_a_palette_becomes_colour(tmp_path):
    path = tmp_path / "a.png"
    image = Image.fromarray(COLOUR).quantize(8)
    image.save(path)
    np.testing.assert_array_equal(read(path), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "YCbCr"])
def test_other_colours_become_red_green_and_blue(tmp_path, mode):
    path = tmp_path / ("a.png" if mode == "RGBA" else "a.tif")
    image = Image.fromarray(COLOUR).convert(mode)
    image.save(path)
    np.testing.assert_array_equal(read(path), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "LA"])
def test_other_greys_become_grey(tmp_path, mode):
    path = tmp_path / "a.png"
    image = Image.fromarray(GREY).convert(mode)
    image.save(path)
    found = read(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.asarray(image.convert("L")))


def test_real_numbers_in_a_tiff_stay_real(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(GREY.astype(np.float32) / 7).save(path)
    np.testing.assert_array_equal(read(path), GREY.astype(np.float32) / 7)


def test_a_tiff_of_many_bands_is_read(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    bands = np.random.default_rng(0).integers(0, 65536, (12, 16, 7), dtype=np.uint16)
    path = tmp_path / "bands.tif"
    tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="contig")
    found = read(path)
    np.testing.assert_array_equal(found, bands)
    adapter = ImageAdapter(patch_size=4).fit([found])
    np.testing.assert_array_equal(adapter.untokenize(adapter.tokenize(found)), bands)


def test_without_its_package_a_strange_tiff_is_answered_with_the_command(tmp_path, monkeypatch):
    path = tmp_path / "bands.tif"
    path.write_bytes(b"II*\x00" + bytes(20))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingExtra, match=r"bands\.tif.*pip install 'anymae\[image\]'"):
        read(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", ">u2"])
def test_arrays_on_disk_are_images_too(tmp_path, dtype):
    path = tmp_path / "a.npy"
    np.save(path, COLOUR.astype(dtype))
    found = read(path)
    np.testing.assert_array_equal(found, COLOUR)
    assert len(ImageAdapter(patch_size=4).fit([found]).tokenize(found)) == 12


def test_every_declared_ending_is_read(tmp_path):
    for ending in ImageAdapter.extensions:
        path = tmp_path / f"a{ending}"
        if ending == ".npy":
            np.save(path, GREY)
        else:
            Image.fromarray(COLOUR if ending not in (".pgm", ".gif") else GREY).save(path)
        assert read(path).shape[:2] == (12, 16)


# What is not


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "tif", "npy"])
def test_an_empty_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"")
    refused(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif", "npy"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_file_is_refused(tmp_path, ending, part):
    path = tmp_path / f"a.{ending}"
    big = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    np.save(path, big) if ending == "npy" else Image.fromarray(big).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "npy"])
def test_another_kind_of_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("this is a letter, not a picture\n" * 20)
    refused(path)


def test_flipped_bits_are_noticed(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "cannot be decoded as an image" in refused(path)


def png_that_claims(width: int, height: int) -> bytes:
    """A tiny file whose header names a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + content + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 10), (10, 20_000), (10_000, 10_000)], ids=str)
def test_a_header_that_claims_too_much_is_refused_before_it_is_believed(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(*size))
    said = refused(path)
    assert "image too large to decode safely" in said
    assert f"found {size[0]} x {size[1]} pixels" in said
    assert "pixel_limit or side_limit" in said


def test_what_pillow_itself_calls_a_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(100_000, 100_000))
    assert "cannot be decoded as an image" in refused(path)


def test_limits_can_be_set(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    assert "expected at most 100 pixels" in refused(path, pixel_limit=100)
    assert "10 a side" in refused(path, side_limit=10)
    assert read(path, pixel_limit=192, side_limit=16).shape == (12, 16, 3)


@pytest.mark.parametrize("options", [{"pixel_limit": 100}, {"side_limit": 10}], ids=str)
@pytest.mark.parametrize("ending", ["tif", "npy"])
def test_every_kind_of_file_keeps_the_limits(tmp_path, ending, options):
    path = tmp_path / f"a.{ending}"
    np.save(path, COLOUR) if ending == "npy" else Image.fromarray(COLOUR).save(path)
    assert "too large" in refused(path, **options)


def test_an_array_that_claims_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.npy"
    np.save(path, GREY)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(12, 16), }", b"(99999999999, 16), }"))
    refused(path)


def test_a_pickle_in_an_array_file_is_never_run(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "object arrays are not read" in refused(path)


def test_a_path_that_is_not_there_is_named(tmp_path):
    assert "cannot be read: No such file" in refused(tmp_path / "none.png")
    assert "cannot be read: Is a directory" in refused(tmp_path)
