"""What every source promises, whatever it was opened from."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from anymae.data.sources import Subset, open_source

from .tiny import Numbers, TinyImage, TinyNative, png, shard, value, write

N = 6
ARRAY = np.broadcast_to(np.arange(N)[:, None, None], (N, 2, 2)).copy()


def folder(path, add=0):
    for i in range(N + add):
        write(path / "data" / f"class {i % 2}" / f"{i:02d}.png", i)
    return path / "data"


def flat(path, add=0):
    return sorted(str(p) for p in folder(path, add).rglob("*.png"))


def npy(path, add=0):
    np.save(path / "x.npy", np.concatenate([ARRAY, ARRAY[:add]]))
    return path / "x.npy"


def npz(path, add=0):
    files = [png(i) for i in range(N + add)]
    offsets = np.cumsum([0, *map(len, files)])
    data = np.frombuffer(b"".join(files), np.uint8)
    np.savez(path / "x.npz", data=data, offsets=offsets, labels=np.arange(N + add) % 2)
    return path / "x.npz"


def tar(path, add=0):
    shard(path / "x-0.tar", 0, 4)
    shard(path / "x-1.tar", 4, 2 + add)
    return f"{path}/x-{{0,1}}.tar"


def parquet(path, add=0):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    columns = {"image": [png(i) for i in range(N + add)], "label": list(range(N + add))}
    write_table(pa.table(columns), path / "x.parquet", row_group_size=2)
    return path / "x.parquet"


def hugging_face(path, add=0):
    datasets = pytest.importorskip("datasets")
    columns = {
        "image": [{"bytes": png(i), "path": None} for i in range(N + add)],
        "label": [0] * (N + add),
    }
    return datasets.Dataset.from_dict(columns)


OPENERS = {
    "array": lambda path, add=0: np.concatenate([ARRAY, ARRAY[:add]]),
    "tensor": lambda path, add=0: torch.from_numpy(np.concatenate([ARRAY, ARRAY[:add]])),
    "pair": lambda path, add=0: (np.concatenate([ARRAY, ARRAY[:add]]), [0] * (N + add)),
    "list": lambda path, add=0: [*ARRAY, *ARRAY[:add]],
    "torch data set": lambda path, add=0: Numbers(N + add),
    "stream": lambda path, add=0: iter([*ARRAY, *ARRAY[:add]]),
    "native": lambda path, add=0: {"x": [*ARRAY, *ARRAY[:add]], "y": [1] * (N + add)},
    "hugging face": hugging_face,
    "folder": folder,
    "files": flat,
    "pattern": lambda path, add=0: f"{folder(path, add)}/*/*.png",
    "npy": npy,
    "npz": npz,
    "tar": tar,
    "parquet": parquet,
    "subset": lambda path, add=0: Subset(open_source(Numbers(9), TinyImage()), range(N + add)),
}


@pytest.fixture(params=OPENERS, ids=lambda name: name.replace(" ", "-"))
def kind(request):
    return request.param


@pytest.fixture
def source(kind, tmp_path):
    return opened(kind, tmp_path)


def opened(kind, path, add=0):
    path.mkdir(exist_ok=True)
    adapter = TinyNative() if kind == "native" else TinyImage()
    return open_source(OPENERS[kind](path, add), adapter)


def values(source):
    return sorted(value(source[i]) for i in range(len(source)))


def test_every_sample_is_there_once_and_again(source):
    assert len(source) == N
    assert values(source) == list(range(N))
    assert value(source[2]) == value(source[2])
    assert len(list(source)) == N


def test_every_sample_has_a_place_of_its_own(source):
    assert len({source.where(i) for i in range(N)}) == N


def test_labels_are_one_a_sample(source):
    assert source.labels is None or len(source.labels) == N
    assert source.label(1) is None or source.label(1) == source.labels[1]
    assert source.classes is None or len(source.classes) > source.labels.max()


def test_a_pickled_source_is_the_same(source):
    source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert values(copy) == list(range(N))
    assert [copy.where(i) for i in range(N)] == [source.where(i) for i in range(N)]
    assert copy.fingerprint() == source.fingerprint()
    np.testing.assert_array_equal(copy.labels, source.labels)


def test_a_fingerprint_tells_data_sets_apart(kind, tmp_path):
    one, same, more = (
        opened(kind, tmp_path / name, add) for name, add in (("a", 0), ("b", 0), ("c", 2))
    )
    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != more.fingerprint()


def test_forked_workers_read_what_the_parent_reads(source):
    source[0]
    loader = DataLoader(source, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert sorted(value(sample) for sample in loader) == list(range(N))


def test_a_new_process_reads_all_of_them(tmp_path):
    """Spawned workers receive a pickle and share nothing else; one process serves all kinds."""
    pytest.importorskip("pyarrow")
    sources = [opened(kind, tmp_path / kind) for kind in OPENERS if kind != "hugging face"]
    (tmp_path / "sources.pkl").write_bytes(pickle.dumps(sources))
    code = f"""
import pickle
from tests.data.test_every_source import values
for source in pickle.load(open({str(tmp_path / "sources.pkl")!r}, "rb")):
    print(values(source), source.fingerprint())
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    expected = [f"{list(range(N))} {source.fingerprint()}" for source in sources]
    assert done.stdout.splitlines() == expected
