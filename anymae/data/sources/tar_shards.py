"""Tar shards in the manner of WebDataset: indexed once, then read by index, never extracted.

``tar_walk`` finds the members, ``tar_items`` says which belong together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from anymae.adapter import Adapter
from anymae.data.sources.columns import opened
from anymae.data.sources.files import no_match
from anymae.data.sources.folders import endings
from anymae.data.sources.labels import Labels, as_labels
from anymae.data.sources.names import Names, printable
from anymae.data.sources.places import placed
from anymae.data.sources.source import Source, digest
from anymae.data.sources.tar_items import items_of, parse_label
from anymae.data.sources.tar_walk import walk
from anymae.errors import BadInput
from anymae.limits import Limits


class TarShards(Source):
    """Samples in tar shards, addressed by (shard, offset, size); the index lives in memory."""

    def __init__(self, shards: Sequence[str], adapter: Adapter, limits: Limits) -> None:
        self.shards = list(shards)
        self.adapter = adapter
        self.limits = limits
        names: list[str] = []
        rows: list[tuple[int, ...]] = []
        for number, shard in enumerate(self.shards):
            with placed(shard):
                for sample, label in items_of(shard, adapter, limits):
                    names.append(sample.name)
                    held = (label.offset, label.size) if label else (-1, -1)
                    rows.append((number, sample.offset, sample.size, *held))
        if not rows:
            raise no_match(self.shards[0], adapter, _endings(self.shards[0], limits))
        self.names = Names(names)
        self.index = np.array(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.index)

    def where(self, index: int) -> str:
        return printable(f"{self.shards[self.index[index, 0]]}[{self.names[index]}]")

    def fingerprint(self) -> str:
        ends = [self.names[i] for i in (0, len(self) - 1)]
        shards = [os.path.basename(shard) for shard in self.shards]
        return digest("tar", len(self), shards, ends, self.index.tobytes())

    def _load(self, index: int) -> Any:
        shard, offset, size = self.index[index, :3].tolist()
        data = _bytes(self.shards[shard], offset, size)
        return opened({"bytes": data, "path": self.names[index]}, self.adapter, self.where(index))

    def _read_labels(self) -> Labels:
        held = self.index[:, 3] >= 0
        if not held.any():
            return Labels()
        labels = []
        for index, (shard, _, _, offset, size) in enumerate(self.index.tolist()):
            with placed(partial(self.where, index)):
                if offset < 0:
                    raise BadInput("no label, but other samples have one")
                if size > self.limits.label_bytes:
                    raise BadInput("the label is too large", found=f"{size} bytes")
                labels.append(parse_label(_bytes(self.shards[shard], offset, size)))
        return as_labels(labels, len(self))


def _bytes(shard: str, offset: int, size: int) -> bytes:
    # Opened for each read: a shared handle would have one position for all forked workers.
    with open(shard, "rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise BadInput("the shard is shorter than when it was indexed", found=f"{len(data)} bytes")
    return data


def _endings(shard: str, limits: Limits) -> str:
    with open(shard, "rb") as file:
        return endings(member.name for member in walk(file, limits))
