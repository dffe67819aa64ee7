"""Frame folders: a video as the images in one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from anymae.errors import BadInput
from anymae.modalities.video.files import EXTENSIONS, FrameLimits
from anymae.modalities.video.frames import Frames

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")
_AS_IS = ("L", "RGB", "I;16")


class FrameFolder(Frames):
    """The images of one folder, in the natural order of their names (2 before 10)."""

    def __init__(self, folder: str, limits: FrameLimits) -> None:
        self.folder = folder
        self.limits = limits
        names = sorted((n for n in os.listdir(folder) if _is_image(n)), key=_natural)
        limits.check_count(len(names), folder)
        self.paths = [os.path.join(folder, name) for name in names]
        self._size: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        return len(self.paths)

    @property
    def size(self) -> tuple[int, int]:
        if self._size is None:
            self._size = _header_size(self.paths[0], self.limits)
        return self._size

    def at(self, indices: range) -> Iterator[np.ndarray]:
        for index in indices:
            path = self.paths[index]
            if _header_size(path, self.limits) != self.size:
                raise BadInput(
                    "the frames of one video differ in size",
                    where=path,
                    expected=f"{self.size[1]} x {self.size[0]} as in {self.paths[0]}",
                )
            yield _image(path)


class FrameFolders(Sequence[FrameFolder]):
    """Videos by folder, each looked into when asked for."""

    def __init__(self, folders: Sequence[str], limits: FrameLimits) -> None:
        self.folders = folders
        self.limits = limits

    def __len__(self) -> int:
        return len(self.folders)

    def where(self, index: int) -> str:
        """The folder of a video."""
        return self.folders[index]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return FrameFolders(self.folders[index], self.limits)
        return FrameFolder(self.folders[index], self.limits)


def frame_folders(root: str) -> tuple[list[str], list[str] | None] | None:
    """The folders at or below ``root`` that hold images, in natural order, and their labels.

    A folder with images is one video; labels are the first sub-folders where all videos lie
    deeper (``class/video/1.png``), else None. Hidden names are left out and links to folders are
    not followed. None if there is no image, or a video file.
    """
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        if any(name.lower().endswith(EXTENSIONS) for name in names):
            return None
        if any(_is_image(name) for name in names):
            found.append(os.path.relpath(folder, root))
    found.sort(key=_natural)
    if not found:
        return None
    labels = [name.partition(os.sep)[0] for name in found]
    deep = all(os.sep in name for name in found)
    return [os.path.normpath(os.path.join(root, name)) for name in found], labels if deep else None


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGES) and not name.startswith(".")


def _natural(name: str) -> list[tuple[int, str]]:
    """``a2`` before ``a10``."""
    parts = re.split(r"(\d+)", name)
    return [(int(p), "") if p.isdecimal() and p.isascii() else (0, p) for p in parts]


def _header_size(path: str, limits: FrameLimits) -> tuple[int, int]:
    image = _open(path)
    with image:
        limits.check(image.height, image.width, path)
        return image.height, image.width


def _image(path: str) -> np.ndarray:
    with _open(path) as image:
        try:
            if image.mode in ("1", "LA"):
                image = image.convert("L")
            array = np.asarray(image if image.mode in _AS_IS else image.convert("RGB"))
        except Exception as error:  # Pillow's decoders raise many types on damaged files
            raise _damaged(path, error) from None
    return array if array.ndim == 3 else array[:, :, None]


def _open(path: str) -> Any:
    from PIL import Image

    try:
        return Image.open(path)
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path: str, error: Exception) -> BadInput:
    reason = (
        getattr(error, "strerror", None) or str(error).removesuffix(f" {path!r}").split(" <")[0]
    )
    return BadInput(
        f"cannot be decoded as an image: {reason or type(error).__name__}",
        where=path,
        expected="a complete image file",
    )
