"""Malformed tables, long series and arrays: refused with file, row and column (I1)."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anymae

from .formats import TEXT, cut, graph, npy_claiming, npz, parquet, png, with_value
from .formats import csv as rows

TINY = anymae.EncoderConfig(width=16, depth=1, heads=2)
NAN, INF = float("nan"), float("inf")
TABLE = np.random.default_rng(0).normal(size=(40, 2))
SERIES = np.random.default_rng(0).normal(size=(10, 40, 2))
IMAGES = np.random.default_rng(0).normal(size=(10, 8, 8))


def zeroed(content: bytes) -> bytes:
    return content[:4] + bytes(80) + content[84:]


FILES: dict[str, tuple[str, Callable[[], bytes], tuple[str, ...]]] = {
    "empty.csv": ("tabular", bytes, ("Empty CSV",)),
    "no-rows.csv": ("tabular", lambda: b"a,b\n", ("the data set is empty",)),
    "no-names.csv": ("tabular", lambda: rows(head="1.0,2.0"), ("line 1", "names")),
    "long-row.csv": ("tabular", lambda: rows(more="1,2,3\n"), ("Row #42: Expected 2",)),
    "short-row.csv": ("tabular", lambda: rows(more="1\n"), ("Row #42: Expected 2",)),
    "twins.csv": ("tabular", lambda: rows(head="a,a"), ("'a' twice",)),
    "nul.csv": ("tabular", lambda: rows(more="1,\0\n"), ("column 'b'", "NUL")),
    "long.csv": ("tabular", lambda: rows(more=f"1,{'x' * 2_000_000}\n"), ("column 'b'", "2000000")),
    "infinite.csv": ("tabular", lambda: rows(more="1,inf\n"), ("column 'b', row 40", "found inf")),
    "1e300.csv": ("tabular", lambda: rows(more="1,1e300\n"), ("column 'b', row 40", "1e+300")),
    "missing.csv": ("tabular", lambda: b"a,b\n" + b",\n" * 40, ("[row 0]", "missing")),
    "missing-row.csv": ("tabular", lambda: rows(more=",\n"), ("[row 40]", "missing")),
    "latin.csv": ("tabular", lambda: b"a,\xff\n" + b"1,2\n" * 40, ("can't decode byte",)),
    "latin-cell.csv": ("tabular", lambda: rows() + b"1,\xff\n", ("Row #42", "UTF8")),
    "picture.csv": ("tabular", png, ("cannot be read as a table",)),
    "quote.csv": ("tabular", lambda: rows(more='"1,2\n'), ("Row #42",)),
    "text.parquet": ("tabular", lambda: TEXT, ("magic bytes",)),
    "empty.parquet": ("tabular", bytes, ("0 bytes",)),
    "cut.parquet": ("tabular", lambda: cut(parquet()), ("magic bytes",)),
    "zeroed.parquet": ("tabular", lambda: zeroed(parquet()), ("cannot be read as a table",)),
    "l-no-names.csv": ("timeseries", lambda: rows(rows=200, head="1.0,2.0"), ("line 1", "names")),
    "l-word.csv": ("timeseries", lambda: rows(rows=200, more="1,two\n"), ("step 200", "'two'")),
    "l-infinite.csv": ("timeseries", lambda: rows(rows=200, more="1,inf\n"), ("step 200",)),
    "l-cut.parquet": ("timeseries", lambda: cut(parquet()), ("magic bytes",)),
    "l-zeroed.parquet": ("timeseries", lambda: zeroed(parquet()), ("cannot be read",)),
    "claims.npz": ("image", lambda: npz({"x": npy_claiming("(9, 9000, 9000)")}), ("claims",)),
    "text.npz": ("image", lambda: TEXT, ("not a zip file",)),
    "cut.npz": ("graph", lambda: cut(graph()), ("not a readable",)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_of_many_samples_is_refused_by_name(name, tmp_path):
    modality, make, words = FILES[name]
    (tmp_path / name).write_bytes(make())
    text = refusal(tmp_path / name, modality, tmp_path)
    assert text.startswith(str(tmp_path / name))
    assert text.count(name) == 1
    assert all(word in text for word in words), text


def refusal(data: Any, modality: str, folder: Path, **options: Any) -> str:
    """The message with which training on some data is refused."""
    with pytest.raises(anymae.BadInput) as caught:
        pretrain(data, modality, folder, modality_options=options)
    assert not (folder / "run").exists(), "a part of a run was left"
    return str(caught.value)


def pretrain(data: Any, modality: str, folder: Path, **settings: Any) -> anymae.Run:
    fixed = {"size": TINY, "steps": 2, "batch_size": 4, "precision": "fp32", "training.workers": 0}
    return anymae.pretrain(data, modality, out=folder / "run", **(fixed | settings))


ARRAYS: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "objects": ("tabular", np.array([[1, object()]], object), ("column '1'", "object")),
    "complex table": ("tabular", np.ones((9, 2), complex), ("column '0'", "complex128")),
    "cube": ("tabular", np.ones((9, 2, 2)), ("not a row of a table",)),
    "infinite cell": ("tabular", with_value(TABLE, (17, 1), INF), ("column '1', row 17",)),
    "unequal columns": ("tabular", {"a": [1, 2, 3], "b": [1, 2]}, ("'a': 3, 'b': 2",)),
    "mixed column": ("tabular", {"a": [1, "x"], "b": [1, 2]}, ("column 'a'", "int and text")),
    "no columns": ("tabular", np.ones((9, 0)), ("empty",)),
    "no rows": ("tabular", np.ones((0, 3)), ("empty",)),
    "infinite step": ("timeseries", with_value(SERIES, (7, 3, 1), INF), ("sample 7, step 3",)),
    "nothing observed": ("timeseries", with_value(SERIES, (7,), NAN), ("sample 7",)),
    "NaN": ("image", with_value(IMAGES, (7, 2, 5), NAN), ("sample 7, row 2, column 5",)),
    "1e300": ("image", with_value(IMAGES, (7, 2, 5), 1e300), ("sample 7, row 2, column 5",)),
    "all equal": ("image", np.ones((10, 8, 8)), ("nothing to learn",)),
    "a vector among images": ("image", [*IMAGES[:5], np.ones(8)], ("sample 5", "shape (8,)")),
    "none among images": ("image", [*IMAGES[:5], None], ("sample 5", "NoneType")),
    "a word among images": ("image", [*IMAGES[:5], "x"], ("sample 5", "paths or samples")),
    "complex images": ("image", np.ones((9, 8, 8), complex), ("complex128",)),
    "objects for images": ("image", np.array([[None] * 8] * 9, object), ("dtype object",)),
    "one axis": ("image", np.ones(9), ("shape (9,)",)),
    "ragged edges": ("graph", [{"x": TABLE[:3], "edges": [[0, 1, 2], [1, 2]]}] * 4, ("unequal",)),
    "1e300 in a graph": (
        "graph",
        [{"x": np.full((3, 2), 1e300), "edges": [[0, 1], [1, 2]]}] * 4,
        ("sample 0, node features, node 0, column 0",),
    ),
    "1e300 in a cloud": ("pointcloud", np.full((10, 40, 3), 1e300), ("sample 0", "point 0")),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_bad_array_is_refused_by_its_place(name, tmp_path):
    modality, data, words = ARRAYS[name]
    text = refusal(data, modality, tmp_path)
    assert all(word in text for word in words), text


def test_the_bad_one_of_several_tables_is_named(tmp_path):
    for kind, whole, damaged in (("csv", rows(), rows(more="1,2,3\n")),
                                 ("parquet", parquet(), cut(parquet()))):  # fmt: skip
        good, bad = tmp_path / f"good.{kind}", tmp_path / f"bad.{kind}"
        good.write_bytes(whole)
        bad.write_bytes(damaged)
        assert refusal([good, bad], "tabular", tmp_path).startswith(str(bad))


def test_a_word_in_a_column_of_numbers_has_a_row(tmp_path):
    (tmp_path / "x.csv").write_bytes(rows(more="1,two\n"))
    text = refusal(tmp_path / "x.csv", "tabular", tmp_path, types={"b": "numeric"})
    assert "x.csv, column 'b', row 40 of 41: not a number; found 'two'" in text


def test_a_row_without_cells_is_skipped_and_listed(tmp_path):
    (tmp_path / "x.csv").write_bytes(rows(rows=12, more=",\n"))
    settings = {"training.on_bad_sample": "skip", "batch_size": 13}
    run = pretrain(tmp_path / "x.csv", "tabular", tmp_path, **settings)
    with open(run.path / "bad_samples.csv", newline="") as file:
        found = {row["where"] for row in csv.DictReader(file)}
    assert found == {f"{tmp_path / 'x.csv'}[row 12]"}


@pytest.mark.parametrize("head", ["0,1", "a,1.0", "a,b"])
def test_names_of_columns_may_hold_numbers(tmp_path, head):
    (tmp_path / "x.csv").write_bytes(rows(head=head))
    for modality in ("tabular", "timeseries"):
        adapter = anymae.modalities()[modality]()
        assert adapter.native(tmp_path / "x.csv") is not None
