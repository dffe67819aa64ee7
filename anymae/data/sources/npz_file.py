"""An ``.npz`` file as a data set: samples and labels by the names of its arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.lib import format as npy

from anymae.adapter import Adapter
from anymae.data.sources.arrays import Arrays
from anymae.data.sources.columns import LABEL_KEYS, SAMPLE_KEYS
from anymae.data.sources.labels import as_labels
from anymae.data.sources.places import placed
from anymae.data.sources.ragged import Ragged
from anymae.data.sources.source import Source
from anymae.errors import BadInput
from anymae.limits import Limits
from anymae.npy import read_header

_ARRAY_KEYS: Final = ("samples", "images", *SAMPLE_KEYS)


def open_npz(path: str, adapter: Adapter, limits: Limits) -> Source:
    """The samples of an ``.npz``, with ``labels`` (y, targets ...) and ``classes`` if it has them.

    The samples are the first of: the modality's name, ``sample(s)``, ``input(s)``, ``images``,
    ``x``, ``data``, or the only array left. With ``offsets`` they lie end to end.
    """
    with placed(path), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        sample, label = _choose(members, adapter.name)

        def load(key: str) -> np.ndarray:
            with placed(f"{path}[{key}]"):
                return _member(archive, members[key], limits)

        array = load(sample)
        name = f"{path}[{sample}]"
        source: Source
        if "offsets" in members:
            source = Ragged(array, load("offsets"), adapter, name)
        else:
            source = Arrays(array, name)
        if label is None:
            return source
        names = load("classes").tolist() if "classes" in members else None
        return source.with_labels(*as_labels(load(label), len(source), names))


def _choose(names: Iterable[str], modality: str) -> tuple[str, str | None]:
    """The members of samples and labels. Prefixed names (``x_test``) are never guessed."""
    known = {name.lower(): name for name in names}
    label = next((known[key] for key in LABEL_KEYS if key in known), None)
    for key in (modality, modality + "s", *_ARRAY_KEYS):
        if key in known:
            return known[key], label
    rest = [
        name for key, name in known.items() if name != label and key not in ("classes", "offsets")
    ]
    if len(rest) == 1:
        return rest[0], label
    raise BadInput(
        "cannot tell which array holds the samples",
        found=f"arrays {', '.join(map(repr, known.values()))}" if known else "no arrays",
        expected=f"one named {modality!r}, {', '.join(map(repr, _ARRAY_KEYS))}",
        hint="Load the file and pass (samples, labels).",
    )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> np.ndarray:
    refuse_bomb(info, limits)
    with archive.open(info) as file:
        read_header(file, info.file_size)
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)


def refuse_bomb(info: zipfile.ZipInfo, limits: Limits) -> None:
    """Raise ``BadInput`` for a zip member that claims to be too large, or swells too much."""
    ratio = info.file_size / max(info.compress_size, 1)
    large = info.file_size > limits.zip_ratio_from_bytes
    if info.file_size > limits.zip_member_bytes or (large and ratio > limits.zip_ratio):
        raise BadInput(
            "the compressed array is too large to be safe",
            found=f"{info.file_size} bytes from {info.compress_size}",
            expected=f"up to {limits.zip_member_bytes} bytes and {limits.zip_ratio} times",
            hint="Save it as .npy, which is read without loading it.",
        )
