"""csv and Parquet files as tables: read whole, or mapped when larger than memory."""

import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from anymae.data.sources import open_source
from anymae.errors import BadInput
from anymae.limits import LIMITS
from anymae.modalities.tabular import files, mapped
from anymae.modalities.tabular.adapter import TabularAdapter

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SMALL = """age, job,pay,when,ok
31,clerk,1.5,2024-01-01,true
 42 ,cook,NA,2024-01-02,false
53,,2.5,,true
64,clerk,3,2024-01-04,
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "anymae" / "tables"


def table(count=1000, seed=0):
    draw = np.random.default_rng(seed)
    return pa.table({
        "x": draw.normal(size=count),
        "n": pa.array(draw.integers(0, 50, count), mask=draw.random(count) < 0.1),
        "c": [f"w{i}" for i in draw.integers(0, 20, count)],
        "y": draw.integers(0, 3, count),
    })  # fmt: skip


def opened(dataset, **options):
    adapter = TabularAdapter(label="y", **options)
    source = open_source(dataset, adapter)
    return adapter.fit(source), source


def packed(dataset, **options):
    adapter, source = opened(dataset, **options)
    return adapter.batch_tokenize(list(source))


@pytest.fixture
def written(tmp_path):
    """One table as a Parquet file of several row groups, and as a csv file."""
    from pyarrow import csv

    (tmp_path / "data").mkdir()
    pq.write_table(table(), tmp_path / "data" / "t.parquet", row_group_size=300)
    csv.write_csv(table(), tmp_path / "t.csv")
    return tmp_path


# Reading


def test_csv_columns_have_the_narrowest_type_that_fits(tmp_path):
    (tmp_path / "small.csv").write_text(SMALL)
    adapter = TabularAdapter()
    source = open_source(tmp_path / "small.csv", adapter)
    adapter = adapter.fit(source)
    assert {c.name: c.stored for c in adapter.columns} == {
        "age": "int", "job": "text", "pay": "float", "when": "time", "ok": "bool"
    }  # fmt: skip
    rows = [adapter.untokenize(adapter.tokenize(row)) for row in source]
    approx = pytest.approx
    assert [row["age"] for row in rows] == [31, 42, 53, 64]
    assert [row["job"] for row in rows] == ["clerk", "cook", None, "clerk"]
    assert [row["pay"] for row in rows] == [approx(1.5), None, approx(2.5), approx(3)]
    assert rows[1]["when"].isoformat()[:10] == "2024-01-02"
    assert [row["ok"] for row in rows] == [True, False, True, None]


def test_a_late_text_makes_a_column_text(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 200)
    lines = ["a,b", *(f"{i},{i}" for i in range(200)), "x,1.5"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    adapter = TabularAdapter()
    found = {
        c.name: c.stored for c in adapter.fit(open_source(tmp_path / "t.csv", adapter)).columns
    }
    assert found == {"a": "text", "b": "float"}


def test_words_for_missing_can_be_given(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,?\n2,x\n3,NA\n")
    source = open_source(tmp_path / "t.csv", adapter := TabularAdapter(missing=("?",)))
    adapter = adapter.fit(source)
    assert [adapter.untokenize(adapter.tokenize(row))["b"] for row in source] == [None, "x", "NA"]


def test_tabs_separate_tsv(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\n1\tx,y\n2\tz\n")
    adapter = TabularAdapter()
    assert len(adapter.fit(open_source(tmp_path / "t.tsv", adapter)).columns) == 2


@pytest.mark.parametrize("form", ["parquet", "csv", "folder", "glob", "list", "string"])
def test_files_give_the_tokens_of_their_table(written, form):
    dataset = {
        "parquet": written / "data" / "t.parquet",
        "csv": written / "t.csv",
        "folder": written / "data",
        "glob": str(written / "data" / "*.parquet"),
        "list": [written / "data" / "t.parquet"],
        "string": str(written / "data" / "t.parquet"),
    }[form]
    wanted, found = packed(table()), packed(dataset)
    torch.testing.assert_close(found.values, wanted.values)
    assert torch.equal(found.coords, wanted.coords)
    assert opened(dataset)[1].labels.tolist() == table()["y"].to_pylist()


def test_many_files_are_one_table(written):
    for part in range(3):
        rows = table().slice(part * 400, 400).select(["y", "c", "n", "x"] if part else
                                                     ["x", "n", "c", "y"])  # fmt: skip
        pq.write_table(rows, written / f"part-{part}.parquet")
    found = packed(str(written / "part-*.parquet"))
    torch.testing.assert_close(found.values, packed(table()).values)


def test_whole_numbers_in_one_file_and_fractions_in_another_are_numbers(tmp_path):
    pq.write_table(pa.table({"x": list(range(50))}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [0.5] * 50}), tmp_path / "b.parquet")
    source = open_source(tmp_path, TabularAdapter())
    assert source.samples.table.column("x").values.tolist() == [*range(50), *[0.5] * 50]


def test_the_index_of_pandas_is_no_column(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": range(30)}, index=[f"r{i}" for i in range(30)])
    frame.to_parquet(tmp_path / "t.parquet")
    adapter = TabularAdapter()
    fitted = adapter.fit(open_source(tmp_path / "t.parquet", adapter))
    assert [column.name for column in fitted.columns] == ["x"]


# Files that do not fit


def test_other_columns_in_another_file_are_named(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"z": [1]}), tmp_path / "b.parquet")
    with pytest.raises(BadInput, match=r"b\.parquet: the columns differ.*found 'z'"):
        open_source(tmp_path, TabularAdapter())


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.parquet", b"PAR1 nothing"), ("t.csv", b"a,b\n1,2,3\n"), ("t.csv", b""),
     ("t.csv", b"a\n\xff\xfe\xfa\n")],
    ids=["parquet", "ragged", "empty", "not-text"],
)  # fmt: skip
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        open_source(tmp_path / name, TabularAdapter())


def test_a_field_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text(f"a,b\n1,{'x' * (LIMITS.csv_field_bytes + 1)}\n")
    with pytest.raises(BadInput, match="column 'b': a field is too long"):
        open_source(tmp_path / "t.csv", TabularAdapter())


def test_a_huge_row_group_is_refused(written, monkeypatch):
    small = LIMITS.model_copy(update={"parquet_group_values": 1000})
    monkeypatch.setattr(files, "LIMITS", small)
    with pytest.raises(BadInput, match=r"t\.parquet: the row group is too large"):
        open_source(written / "data" / "t.parquet", TabularAdapter())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        open_source(tmp_path / "nowhere.csv", TabularAdapter())


# Larger than memory


@pytest.mark.parametrize("form", ["data/t.parquet", "t.csv"])
def test_a_mapped_table_is_the_same_table(written, cache, form, monkeypatch):
    monkeypatch.setattr(files, "_ROWS", 128)
    monkeypatch.setattr(files, "_BLOCK_BYTES", 4000)
    wanted, mine = packed(table()), opened(written / form, memory_bytes=0)
    adapter, source = mine
    assert isinstance(source.samples.table, mapped.MappedTable)
    assert len(list(cache.iterdir())) == 1
    assert source.labels.tolist() == table()["y"].to_pylist()
    some = [5, 999, 0, 400, 401, 5]
    found = adapter.batch_tokenize([source[i] for i in some]).split()
    for i, tokens in zip(some, found, strict=True):
        torch.testing.assert_close(tokens.values, wanted.split()[i].values)
    torch.testing.assert_close(adapter.batch_tokenize(list(source)).values, wanted.values)


def test_the_copy_is_made_once_and_again_when_the_file_changes(written, cache):
    path = written / "data" / "t.parquet"
    opened(path, memory_bytes=0)
    first = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    opened(path, memory_bytes=0)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == first
    pq.write_table(table(seed=1), path)
    os.utime(path, ns=(1, 1))
    _, source = opened(path, memory_bytes=0)
    assert len(list(cache.iterdir())) == 2
    assert source.labels.tolist() == table(seed=1)["y"].to_pylist()


def test_a_full_disk_is_said_and_leaves_nothing(written, cache, monkeypatch):
    def full(sink, schema):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "new_file", full)
    with pytest.raises(BadInput, match=r"the disk is full.*XDG_CACHE_HOME"):
        opened(written / "data" / "t.parquet", memory_bytes=0)
    assert list(cache.iterdir()) == []


def test_an_interrupted_copy_leaves_nothing(written, cache, monkeypatch):
    def interrupted(self):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(files._Parquet, "batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opened(written / "data" / "t.parquet", memory_bytes=0)
    assert list(cache.iterdir()) == []


def test_mapped_rows_reach_other_processes(written):
    adapter, source = opened(written / "data" / "t.parquet", memory_bytes=0)
    wanted = adapter.tokenize(source[7]).values
    again = pickle.loads(pickle.dumps((adapter, source)))
    assert torch.equal(again[0].tokenize(again[1][7]).values, wanted)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(_values, (adapter, source, 7))
    assert np.array_equal(found, wanted.numpy())


def _values(adapter, source, index):
    return adapter.tokenize(source[index]).values.numpy()


MEASURED = """
import sys, threading, time
import numpy as np
import pyarrow.parquet
import torch
from anymae.data.sources import open_source
from anymae.modalities.tabular.adapter import TabularAdapter

def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) for l in lines if l.startswith("RssAnon")) * 1024

path, limit = sys.argv[1], int(sys.argv[2])
adapter = TabularAdapter(memory_bytes=limit)
adapter.fit([{f"x{i}": float(j + i) for i in range(10)} for j in range(30)])  # what loads, loads
start, peak, done = own(), 0, threading.Event()

def watch():
    global peak
    while not done.is_set():
        peak = max(peak, own())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
source = open_source(path, adapter)
adapter = adapter.fit(source[i] for i in range(0, len(source), 400))
draw = np.random.default_rng(0)
for _ in range(20):
    adapter.batch_tokenize([source[int(i)] for i in draw.integers(0, len(source), 256)])
done.set()
watcher.join()
print(peak - start)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_stays_flat_on_a_large_table(tmp_path):
    columns, group = [f"x{i}" for i in range(20)], 20_000
    draw = np.random.default_rng(0)

    def written(count):
        path = tmp_path / f"{count}.parquet"
        with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in columns])) as to:
            for _ in range(count // group):
                to.write_table(pa.table({name: draw.normal(size=group) for name in columns}))
        return path

    def peak(path, memory_bytes):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(path), str(memory_bytes)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
            env=dict(os.environ, OMP_NUM_THREADS="1"),
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    small, large = written(100_000), written(600_000)
    more = 500_000 * len(columns) * 8
    # The measure sees a table that is read whole; a mapped one costs the same at any size.
    assert peak(large, 10**9) - peak(small, 10**9) > 0.8 * more
    assert peak(large, 10**6) - peak(small, 10**6) < 0.2 * more
