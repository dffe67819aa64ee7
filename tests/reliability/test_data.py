"""Shards and streams, whatever number of processes and workers reads them, and continued."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

import anymae
from anymae.adapter import Adapter
from anymae.data.batches import Batches
from anymae.data.loader import load
from anymae.data.plan import Plan
from anymae.data.sources import Source, open_source
from anymae.registry import modality

from ..data.tiny import tar
from ..training.small import curve, cut_short, digits, pretrain, weights

COUNT = 200
SHARD = 70
"""Digits in a shard; the last has less. Neither shards nor row groups hold whole batches."""


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def tar_shards(folder: Path, pictures: list[bytes]) -> str:
    for first in range(0, COUNT, SHARD):
        part = enumerate(pictures[first : first + SHARD])
        tar(folder / f"{first:03d}.tar", [(f"{i:03d}.png", picture) for i, picture in part])
    return f"{folder}/*.tar"


def parquet_shards(folder: Path, pictures: list[bytes]) -> str:
    for first in range(0, COUNT, SHARD):
        table = pa.table({"image": pictures[first : first + SHARD]})
        parquet.write_table(table, folder / f"{first:03d}.parquet", row_group_size=27)
    return f"{folder}/*.parquet"


@pytest.fixture(scope="module", params=[tar_shards, parquet_shards])
def shards(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shards")
    return request.param(folder, [png(one) for one in digits(COUNT)])


def opened(shards: str) -> tuple[Source, Adapter]:
    adapter = modality("image")(patch_size=4)
    source = open_source(shards, adapter)
    return source, adapter.fit([source[index] for index in range(20)])


@pytest.mark.parametrize(("processes", "workers"), [(1, 2), (3, 1)])
def test_every_sample_of_shards_is_read_once_an_epoch(shards, processes, workers):
    """Also where steps begin in the middle of an epoch, a shard and a row group."""
    (source, adapter), plan = opened(shards), Plan(COUNT, 16, 2 * COUNT, seed=3)
    begun = 5
    already = [pair for step in range(begun) for pair in plan.draw(step)]
    read: Counter[tuple[int, int]] = Counter(already)
    for rank in range(processes):
        part = Batches(source, adapter, plan, rank=rank, world=processes)
        for batch in load(part, begun, workers, pin=False):
            assert batch.error is None
            read.update(batch.drawn)
    assert read == Counter((epoch, index) for epoch in range(2) for index in range(COUNT))


def test_workers_and_processes_read_the_samples_they_draw(shards):
    (source, adapter), plan = opened(shards), Plan(COUNT, 16, COUNT, seed=3)
    of_one = Batches(source, adapter, plan)
    whole = [of_one[step].packed.values for step in range(plan.steps)]
    parts = [
        list(load(Batches(source, adapter, plan, rank=rank, world=2), 0, 2, pin=False))
        for rank in range(2)
    ]
    for step, values in enumerate(whole):
        assert torch.equal(torch.cat([part[step].packed.values for part in parts]), values)


def test_a_run_on_shards_continues_in_their_middle_to_the_same_bits(shards, tmp_path, monkeypatch):
    """Six of twelve steps of an epoch are over; workers change from none to two to one. The run it
    must be is that on an array of the same pictures."""
    whole = pretrain(tmp_path / "whole", digits(COUNT))
    for looks, workers in ((6, 0), (7, 2)):
        settings = {"training.workers": workers}
        cut_short(monkeypatch, looks, lambda: pretrain(tmp_path / "run", shards, **settings))  # noqa: B023
    again = pretrain(tmp_path / "run", shards, **{"training.workers": 1})
    assert weights(again) == weights(whole)
    assert curve(again) == curve(whole)


# Streams


class Stream(torch.utils.data.IterableDataset):
    """Digits without an index, in one order or another."""

    def __init__(self, order: int = 1) -> None:
        self.order = order

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(digits(COUNT)[:: self.order])


def test_what_is_said_of_streams_is_true(tmp_path, monkeypatch, capsys):
    """Once a start: read into memory, and exact if the same items come in the same order. Another
    order has other samples held out, and so other statistics: here it is noticed."""
    whole = pretrain(tmp_path / "whole", digits(COUNT))
    cut_short(monkeypatch, 6, lambda: pretrain(tmp_path / "run", Stream()))
    with pytest.raises(anymae.BadConfig, match=r"a run with another model\.adapter"):
        pretrain(tmp_path / "run", Stream(order=-1))
    capsys.readouterr()
    again = pretrain(tmp_path / "run", Stream(), **{"training.workers": 2})
    assert capsys.readouterr().err.count("has no index: reading it into memory") == 1
    assert weights(again) == weights(whole)


def test_of_several_processes_one_says_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    open_source(Stream(), modality("image")())
    assert capsys.readouterr().err == ""
