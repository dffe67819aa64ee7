"""Tiny adapters and files for the tests of the sources."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import torch
from PIL import Image

from anymae.adapter import Adapter
from anymae.errors import BadInput
from anymae.tokens import Tokens


class TinyImage(Adapter):
    name: ClassVar[str] = "image"
    extensions: ClassVar[tuple[str, ...]] = (".png", ".jpg")

    @property
    def token_dim(self) -> int:
        return 3

    @property
    def coord_dim(self) -> int:
        return 2

    def tokenize(self, sample: Any) -> Tokens:
        raise NotImplementedError

    def example(self, seed: int) -> np.ndarray:
        return np.full((4, 4, 3), seed, np.uint8)

    def read(self, file: BinaryIO, name: str) -> np.ndarray:
        data = file.read()
        if not data:
            raise BadInput("the picture is empty", where=f"{name}, header", found="0 bytes")
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


class TinyRows(TinyImage):
    """A modality whose samples are rows of a table; it reads no files."""

    name: ClassVar[str] = "tabular"
    extensions: ClassVar[tuple[str, ...]] = ()


class TinyNative(TinyImage):
    def native(self, dataset: Any) -> Any:
        if isinstance(dataset, dict):
            return (dataset["x"], dataset["y"]) if "y" in dataset else dataset["x"]
        return None


class TinySound(TinyImage):
    name: ClassVar[str] = "audio"
    extensions: ClassVar[tuple[str, ...]] = (".wav",)
    pair_is_sample: ClassVar[bool] = True


class Numbers(torch.utils.data.Dataset):
    """A map-style data set of constant pictures; item 3 can be made to fail."""

    def __init__(self, n: int = 6, error: BaseException | None = None, **attributes: Any) -> None:
        self.n = n
        self.error = error
        self.loaded: list[int] = []
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        self.loaded.append(index)
        if self.error is not None and index == 3:
            raise self.error
        return np.full((2, 2), index), index % 3


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self):
        i = 0
        while True:
            yield np.full((2, 2), i), i
            i += 1


def png(value: int, side: int = 3) -> bytes:
    """A PNG of one grey value."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(value))
    return path


def tar(path: Path, members: list[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def shard(path: Path, first: int = 0, n: int = 4) -> Path:
    """A shard of n pictures with their number as value and as label."""
    members = []
    for i in range(first, first + n):
        members += [(f"{i:04d}.cls", str(i % 2).encode()), (f"{i:04d}.png", png(i))]
    return tar(path, members)


def refusal(act: Callable[[], Any]) -> str:
    """The message of the ``BadInput`` that ``act()`` raises; empty if it raises none."""
    try:
        act()
    except BadInput as error:
        return str(error)
    return ""


def value(sample: Any) -> int:
    """The grey value of a sample made here."""
    return int(np.asarray(sample).ravel()[0])
