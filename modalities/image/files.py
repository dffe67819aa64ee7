"""Image files: what Pillow reads, multi-band TIFF through tifffile, and ``.npy`` arrays."""

from __future__ import annotations

import warnings
from typing import BinaryIO

import numpy as np

from anymae.errors import BadInput, missing_extra
from anymae.npy import read_npy

EXTENSIONS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".tif",
    ".tiff",
    ".npy",
)
_AS_IS = {"L", "RGB", "I;16", "I;16B", "I;16L", "I", "F"}
_TO_GREY = {"1", "LA", "La"}


def read_image(file: BinaryIO, name: str, pixel_limit: int, side_limit: int) -> np.ndarray:
    """(H, W) or (H, W, C) from an open file; sizes are checked before anything is decoded.
    Raises ``BadInput`` naming the file."""
    ending = name.lower().rsplit(".", 1)[-1]
    if ending == "npy":
        return _read_npy(file, name, pixel_limit, side_limit)
    try:
        return _read_pillow(file, name, pixel_limit, side_limit)
    except BadInput:
        if ending not in ("tif", "tiff"):
            raise
        return _read_tiff(file, name, pixel_limit, side_limit)


def _read_pillow(file: BinaryIO, name: str, pixel_limit: int, side_limit: int) -> np.ndarray:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(file)
            width, height = image.size
            _refuse_huge(width, height, name, pixel_limit, side_limit)
            if image.mode in _TO_GREY:
                image = image.convert("L")
            elif image.mode not in _AS_IS:
                image = image.convert("RGB")
            return np.asarray(image)
    except BadInput:
        raise
    except Exception as error:  # Pillow's decoders raise many types on damaged files
        reason = str(error).split(" <")[0] or type(error).__name__
        raise BadInput(
            f"cannot be decoded as an image: {reason}",
            where=name,
            expected="a complete image file",
        ) from None


def _refuse_huge(width: int, height: int, name: str, pixel_limit: int, side_limit: int) -> None:
    if width * height > pixel_limit or max(width, height) > side_limit:
        raise BadInput(
            "image too large to decode safely",
            where=name,
            found=f"{width} x {height} pixels",
            expected=f"at most {pixel_limit:,} pixels and {side_limit:,} a side",
            hint="Raise modality_options pixel_limit or side_limit if you trust the file.",
        )


def _refuse_huge_array(
    shape: tuple[int, ...], name: str, pixel_limit: int, side_limit: int
) -> None:
    """Bands may be first or last: the two longest axes are taken for rows and columns."""
    height, width = sorted((1, 1, *shape))[-2:]
    _refuse_huge(width, height, name, pixel_limit, side_limit)


def _read_npy(file: BinaryIO, name: str, pixel_limit: int, side_limit: int) -> np.ndarray:
    array = read_npy(file, name)
    _refuse_huge_array(array.shape, name, pixel_limit, side_limit)
    return array


def _read_tiff(file: BinaryIO, name: str, pixel_limit: int, side_limit: int) -> np.ndarray:
    try:
        import tifffile
    except ImportError:
        raise missing_extra(
            "tifffile", "image", f"{name}: a TIFF that Pillow cannot read"
        ) from None
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tiff:
            shape = tiff.series[0].shape
            _refuse_huge_array(shape, name, pixel_limit, side_limit)
            if np.prod(shape) > 16 * pixel_limit:
                raise BadInput("image too large to decode safely", where=name, found=shape)
            return tiff.asarray()
    except BadInput:
        raise
    except Exception as error:  # tifffile raises many types on damaged files
        raise BadInput(f"cannot be decoded as TIFF: {error}", where=name) from None
