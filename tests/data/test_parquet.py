import json
import sys

import numpy as np
import pytest

from anymae.data.sources import open_source
from anymae.errors import BadInput, MissingExtra
from anymae.limits import LIMITS

from .tiny import TinyImage, TinyRows, png, value

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGE = TinyImage()


def table(path, rows_a_group=3, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=rows_a_group)
    return path


def pictures(path, first=0, n=7):
    numbers = range(first, first + n)
    return table(path, image=[png(i) for i in numbers], label=[i % 2 for i in numbers])


def test_rows_of_several_files_and_groups(tmp_path):
    pictures(tmp_path / "x-0.parquet", 0)
    pictures(tmp_path / "x-1.parquet", 7)
    source = open_source(f"{tmp_path}/x-*.parquet", IMAGE)
    assert [value(source[i]) for i in (13, 0, 6, 7, 2, 3)] == [13, 0, 6, 7, 2, 3]
    assert source.labels.tolist() == [i % 2 for i in range(14)]
    assert source.where(8) == f"{tmp_path}/x-1.parquet[row 1]"
    assert source.where(6) == f"{tmp_path}/x-0.parquet[row 6]"


def test_decoded_row_groups_are_kept_up_to_a_size_and_not_pickled(tmp_path):
    path = pictures(tmp_path / "x.parquet", n=18)
    for kept, size in ((6, LIMITS.parquet_kept_bytes), (1, 1)):
        limits = LIMITS.model_copy(update={"parquet_kept_bytes": size})
        source = open_source(path, IMAGE, limits=limits)
        assert [value(sample) for sample in source] == list(range(18))
        assert len(source._kept) == kept
        assert source.__getstate__()["_kept"] == {}


def test_pictures_as_hugging_face_writes_them(tmp_path):
    column = [{"bytes": png(i), "path": f"{i}.png"} for i in range(3)]
    features = {
        "img": {"_type": "Image"},
        "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    }
    rows = pa.table({"img": column, "label": [0, 1, 1]})
    notes = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(rows.replace_schema_metadata(notes), tmp_path / "x.parquet")
    source = open_source(tmp_path / "x.parquet", IMAGE)
    assert [value(sample) for sample in source] == [0, 1, 2]
    assert source.classes == ["cat", "dog"]
    assert source.labels.tolist() == [0, 1, 1]


def test_plain_columns_are_rows(tmp_path):
    path = table(tmp_path / "x.parquet", x=[1.0, None], y=["a", "b"], label=["no", "yes"])
    source = open_source(path, TinyRows())
    assert list(source) == [{"x": 1.0, "y": "a"}, {"x": None, "y": "b"}]
    assert source.classes == ["no", "yes"]
    assert open_source(path, TinyRows(), labels="y")[0] == {"x": 1.0, "label": "no"}


def test_the_index_of_pandas_is_no_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2]}, index=pandas.Index([7, 9]))
    frame.to_parquet(tmp_path / "x.parquet", engine="pyarrow")
    assert open_source(tmp_path / "x.parquet", TinyRows())[1] == {"a": 2}


def test_lists_of_numbers_become_arrays(tmp_path):
    path = table(tmp_path / "x.parquet", series=[[1.0, 2.0], [3.0]], label=[0, 1])
    np.testing.assert_array_equal(open_source(path, IMAGE)[1], [3.0])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"left": [b"a"], "right": [b"b"]}, "x.parquet: cannot tell which column is the sample"),
        ({"label": [1]}, "x.parquet: nothing but a label; found columns 'label'"),
    ],
)
def test_columns_that_are_unclear_are_refused(tmp_path, columns, said):
    with pytest.raises(BadInput) as caught:
        open_source(table(tmp_path / "x.parquet", **columns), IMAGE)
    assert said in str(caught.value)


def test_files_with_other_columns_are_refused(tmp_path):
    table(tmp_path / "a.parquet", x=[1])
    table(tmp_path / "b.parquet", y=[1])
    with pytest.raises(BadInput, match=r"b.parquet: the columns differ.*found 'y'; expected 'x'"):
        open_source(f"{tmp_path}/*.parquet", TinyRows())


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (None, "[row 1]: the sample is missing; found null"),
        (b"", "[row 1], header: the picture is empty"),
        (b"text", "[row 1]: UnidentifiedImageError"),
    ],
)
def test_a_bad_row_is_named_once(tmp_path, picture, said):
    path = table(tmp_path / "x.parquet", image=[png(0), picture])
    source = open_source(path, IMAGE)
    assert value(source[0]) == 0
    with pytest.raises(BadInput) as caught:
        source[1]
    assert str(caught.value).startswith(f"{path}{said}")
    assert str(caught.value).count("x.parquet") == 1


def test_paths_in_a_column_are_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(1))
    column = [{"bytes": None, "path": str(tmp_path / "secret.png")}]
    source = open_source(table(tmp_path / "x.parquet", image=column), IMAGE)
    with pytest.raises(BadInput, match="the sample is missing"):
        source[0]


def test_a_row_group_that_claims_too_much_is_refused(tmp_path):
    limits = LIMITS.model_copy(update={"parquet_group_values": 5})
    source = open_source(pictures(tmp_path / "x.parquet"), IMAGE, limits=limits)
    with pytest.raises(BadInput, match=r"\[row 4\], row group 1: the row group is too large"):
        source[4]
    assert value(source[6]) == 6


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "zeroed"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = pictures(tmp_path / "x.parquet")
    good = path.read_bytes()
    path.write_bytes(
        {
            "cut": good[: len(good) // 2],
            "text": b"a,b\n1,2\n" * 9,
            "empty": b"",
            "zeroed": good[:-60] + bytes(60),
        }[damage]
    )
    with pytest.raises(BadInput) as caught:
        open_source(path, IMAGE)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_body_is_named_with_its_row(tmp_path):
    path = pictures(tmp_path / "x.parquet")
    good = path.read_bytes()
    path.write_bytes(good[:4] + bytes(range(200)) + good[204:])
    source = open_source(path, IMAGE)
    with pytest.raises(BadInput) as caught:
        source[0]
    assert str(caught.value).startswith(f"{path}[row 0]: ")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = pictures(tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"Parquet.*'pyarrow'.*pip install"):
        open_source(path, IMAGE)


def test_an_empty_file_is_refused(tmp_path):
    path = table(tmp_path / "x.parquet", image=pa.array([], pa.binary()))
    with pytest.raises(BadInput, match="the data set is empty"):
        open_source(path, IMAGE)


def test_a_real_table(real_data):
    path = real_data / "tabular" / "adult.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    source = open_source(path, TinyRows())
    assert len(source) == 48_842
    assert len(source[48_841]) == 16 - (source.labels is not None)
