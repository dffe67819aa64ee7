"""What counts as a table, what its columns are, and the tables that are refused."""

import datetime
import decimal

import numpy as np
import pytest
import torch

from anymae.data.sources import open_source
from anymae.errors import BadConfig, BadInput
from anymae.modalities.tabular.adapter import TabularAdapter

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 120
AGE = [20 + i % 37 for i in range(N)]
PAY = [None if i % 9 == 0 else 1000.5 + i * i for i in range(N)]
JOB = [None if i % 7 == 0 else ("clerk", "cook", "smith")[i % 3] for i in range(N)]
DAY = [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=i % 50) for i in range(N)]
TABLE = {"age": AGE, "pay": PAY, "job": JOB, "day": DAY}
KINDS = {"age": "numeric", "pay": "numeric", "job": "categorical", "day": "numeric"}


def read(dataset, **options):
    """The adapter fitted on a data set, and all of it as one batch."""
    adapter = TabularAdapter(**options)
    source = open_source(dataset, adapter)
    adapter = adapter.fit(source)
    return adapter, adapter.batch_tokenize(list(source))


def kinds(adapter):
    return {column.name: column.kind for column in adapter.columns}


FORMS = {
    "pandas": lambda: pd.DataFrame(TABLE),
    "pandas-new-types": lambda: pd.DataFrame(TABLE).convert_dtypes(),
    "pandas-category": lambda: pd.DataFrame(TABLE).astype({"job": "category"}),
    "polars": lambda: pl.DataFrame(TABLE),
    "polars-lazy": lambda: pl.LazyFrame(TABLE),
    "polars-category": lambda: pl.DataFrame(TABLE).cast({"job": pl.Categorical}),
    "pyarrow": lambda: pa.table(TABLE),
    "pyarrow-chunks": lambda: pa.concat_tables([pa.table(TABLE).slice(0, 50),
                                                pa.table(TABLE).slice(50)]),
    "columns": lambda: TABLE,
    "numpy-columns": lambda: {"age": np.array(AGE), "pay": np.array(PAY, dtype=float),
                              "job": np.array(JOB, dtype=object), "day": np.array(DAY, "M8[s]")},
    "dictionaries": lambda: [dict(zip(TABLE, row, strict=True)) for row in
                             zip(*TABLE.values(), strict=True)],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tokens(form):
    adapter, packed = read(FORMS[form]())
    wanted_adapter, wanted = read(pa.table(TABLE))
    assert kinds(adapter) == KINDS
    torch.testing.assert_close(packed.values, wanted.values)
    assert torch.equal(packed.coords, wanted.coords)
    assert [c.stored for c in adapter.columns] == [c.stored for c in wanted_adapter.columns]


@pytest.mark.parametrize(
    "matrix",
    [np.random.default_rng(0).normal(size=(30, 3)),
     torch.randn(30, 3, generator=torch.Generator().manual_seed(0))],
    ids=["numpy", "torch"],
)  # fmt: skip
def test_matrices_are_tables_without_names(matrix):
    adapter, packed = read(matrix)
    assert kinds(adapter) == {"0": "numeric", "1": "numeric", "2": "numeric"}
    wanted = (matrix - matrix.mean(0)) / (matrix.std(0) if isinstance(matrix, np.ndarray)
                                          else matrix.std(0, correction=0))  # fmt: skip
    np.testing.assert_allclose(packed.values.view(30, 3).numpy(), np.asarray(wanted), atol=1e-5)
    one = adapter.tokenize(matrix[0])  # a vector is a row, too
    assert torch.equal(one.values, packed.values[:3])


def test_structured_arrays_are_tables():
    array = np.zeros(20, dtype=[("a", "f4"), ("b", "U3")])
    array["a"], array["b"] = np.arange(20), ["x", "y"] * 10
    adapter, packed = read(array)
    assert kinds(adapter) == {"a": "numeric", "b": "categorical"}
    assert torch.equal(adapter.tokenize(array[3]).values, packed.values[6:8])


def test_nan_in_a_matrix_is_missing():
    matrix = np.random.default_rng(0).normal(size=(30, 3))
    matrix[4, 1] = np.nan
    _, packed = read(matrix)
    assert packed.segments.lengths.tolist() == [3] * 4 + [2] + [3] * 25


def test_every_word_for_missing_is_missing():
    rows = [{"x": float(i), "c": "ab"[i % 2], "d": DAY[i]} for i in range(40)]
    adapter = TabularAdapter().fit(rows)
    for nothing in (None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, "",
                    np.datetime64("NaT"), decimal.Decimal("NaN")):  # fmt: skip
        assert len(adapter.tokenize({"x": nothing, "c": nothing, "d": DAY[0]})) == 1


# What a column is


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5] * 50, "numeric"),
        ([1, 2, 3, 4] * 25, "categorical"),
        (list(range(10)) * 10, "categorical"),
        (list(range(11)) * 10, "numeric"),
        ([1, 2, 3, 4] * 5, "numeric"),  # too few rows to say that four values are categories
        ([True, False] * 50, "categorical"),
        (["7", "8"] * 50, "categorical"),
        ([datetime.date(2024, 1, 1 + i % 3) for i in range(99)], "numeric"),
        ([datetime.timedelta(hours=i) for i in range(99)], "numeric"),
        ([decimal.Decimal("1.5")] * 50 + [decimal.Decimal(2)] * 50, "numeric"),
        ([None] * 50, "numeric"),
    ],
    ids=["floats", "few-integers", "ten-integers", "more-integers", "few-rows", "booleans", "texts",
         "dates", "durations", "decimals", "nothing"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["python", "arrow"])
def test_the_kind_of_a_column_follows_its_values(values, kind, form):
    column = values if form == "python" else pa.array(values)
    table = {"it": column, "x": [float(i) for i in range(len(values))]}
    adapter, _ = read(table if form == "python" else pa.table(table))
    assert kinds(adapter)["it"] == kind


def test_types_override_what_is_inferred():
    table = {"zip": list(range(100)), "grade": [1, 2] * 50, "text": [str(i) for i in range(100)],
             "size": [0.5, 1.5] * 50, "flag": [True, False] * 50}  # fmt: skip
    types = {"zip": "categorical", "grade": "numeric", "text": "numeric", "size": "categorical",
             "flag": "numeric"}  # fmt: skip
    adapter, packed = read(table, types=types)
    assert kinds(adapter) == types
    row = adapter.untokenize(packed.split()[3])
    assert (row["zip"], row["grade"], row["size"], row["flag"]) == (3, 2, 1.5, False)
    assert float(row["text"]) == pytest.approx(3, abs=1e-4)


def test_an_unknown_column_among_the_options_is_named():
    with pytest.raises(BadConfig, match=r"unknown column 'agee'.*Did you mean 'age'"):
        read(TABLE, types={"agee": "numeric"})
    with pytest.raises(BadConfig, match="unknown column 'nope'"):
        read(TABLE, ignore=("nope",))


# Labels and columns that are left out


@pytest.mark.parametrize("form", ["pandas", "polars", "pyarrow", "columns"])
def test_the_label_is_no_token(form):
    dataset = FORMS[form]()
    adapter = TabularAdapter(label="job", ignore=("day",))
    full = [i for i in range(N) if JOB[i] is not None]
    if form == "columns":
        dataset = {name: [values[i] for i in full] for name, values in dataset.items()}
    else:
        dataset = pa.table(FORMS["pandas"]()).take(full)
        dataset = {"pandas": dataset.to_pandas, "polars": lambda: pl.from_arrow(dataset),
                   "pyarrow": lambda: dataset}[form]()  # fmt: skip
    source = open_source(dataset, adapter)
    assert source.classes == ["clerk", "cook", "smith"]
    assert [source.classes[i] for i in source.labels] == [JOB[i] for i in full]
    adapter = adapter.fit(source)
    assert [column.name for column in adapter.columns] == ["age", "pay"]
    changed = adapter.batch_tokenize([{"age": 30, "job": "cook", "day": DAY[0]},
                                      {"age": 30, "job": None, "day": None}])  # fmt: skip
    assert torch.equal(changed.values[0], changed.values[1])


def test_numeric_labels_keep_their_kind():
    for values, wanted in (
        ([3, 4] * 10, np.array([3, 4] * 10)),
        ([0.5, 1.5] * 10, np.array([0.5, 1.5] * 10)),
        ([True, False] * 10, np.array([1, 0] * 10)),
    ):
        source = open_source({"x": list(range(20)), "y": values}, TabularAdapter(label="y"))
        assert source.labels.tolist() == wanted.tolist()
        assert source.labels.dtype == wanted.dtype


def test_missing_labels_do_not_hinder_training_and_are_known_as_missing():
    source = open_source(TABLE, TabularAdapter(label="job"))
    assert np.flatnonzero(np.isnan(source.labels)).tolist() == list(range(0, N, 7))


def test_a_table_without_the_label_can_be_embedded():
    adapter, _ = read(TABLE, label="job")
    rest = {name: values for name, values in TABLE.items() if name != "job"}
    source = open_source(rest, adapter)
    assert source.labels is None
    assert len(adapter.batch_tokenize(list(source))) == N


# Tables that do not fit


def test_columns_are_matched_by_name():
    adapter, wanted = read(TABLE)
    turned = {name: TABLE[name] for name in reversed(TABLE)}
    found = adapter.batch_tokenize(list(open_source(turned, adapter)))
    assert torch.equal(found.values, wanted.values)
    assert torch.equal(found.coords, wanted.coords)


def test_a_column_too_few_or_too_many_is_named():
    adapter, _ = read(TABLE)
    fewer = {name: values for name, values in TABLE.items() if name != "pay"}
    with pytest.raises(BadInput, match=r"column 'pay': a column of the training data is not there"):
        adapter.batch_tokenize(list(open_source(fewer, adapter)))
    with pytest.raises(BadInput, match=r"column 'extra': a column that was not there in training"):
        adapter.batch_tokenize(list(open_source({**TABLE, "extra": AGE}, adapter)))
    with pytest.raises(BadInput, match=r"column 'extra': a column that was not there in training"):
        adapter.tokenize({"age": 3, "extra": 4})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"a": [1.0, float("inf")] * 9}, "column 'a', row 1 of 18: an infinite number"),
        ({"a": [1, "x"] * 9}, "column 'a'.*found int and text"),
        ({"a": [[1], [2]] * 9}, "column 'a'"),
        ({"a": [1, 2], "b": [1]}, "columns differ in length"),
    ],
    ids=["infinite", "mixed", "lists", "ragged"],
)
def test_columns_that_cannot_be_read_are_named(table, said):
    adapter = TabularAdapter()
    with pytest.raises(BadInput, match=said):
        adapter.fit(_rows(adapter, table))


def _rows(adapter, table):
    """All rows, as the adapter's own or (where a cell is a list, so that it declines) plain."""
    rows = adapter.native(table)
    if rows is not None:
        return rows
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def test_mixed_columns_of_pandas_are_refused():
    frame = pd.DataFrame({"a": [1, "x"] * 5})
    with pytest.raises(BadInput, match="values of several kinds"):
        open_source(frame, TabularAdapter())


def test_columns_of_one_name_are_refused():
    frame = pd.DataFrame(np.zeros((4, 2)), columns=["a", "a"])
    with pytest.raises(BadInput, match="'a' twice"):
        open_source(frame, TabularAdapter())


def test_lists_in_arrow_are_refused_with_a_way_out():
    table = pa.table({"a": [[1], [2]], "b": [1, 2]})
    with pytest.raises(BadInput, match=r"column 'a'.*list.*ignore=\['a'\]"):
        open_source(table, TabularAdapter())


def test_a_text_in_a_numeric_column_is_named():
    adapter, _ = read(TABLE)
    with pytest.raises(BadInput, match="column 'age': not a number; found 'old'"):
        adapter.tokenize({"age": "old"})
    assert float(adapter.tokenize({"age": "30"}).values[0, 0]) == pytest.approx(
        float(adapter.tokenize({"age": 30}).values[0, 0])
    )


def test_nothing_to_learn_from_is_said():
    with pytest.raises(BadInput, match="no row"):
        TabularAdapter().fit([])
    with pytest.raises(BadInput, match="no column"):
        TabularAdapter(label="a").fit([{"a": 1}])


def test_pandas_indexes_and_number_names_do_not_matter():
    frame = pd.DataFrame({0: AGE, 1: PAY}, index=[f"r{i}" for i in range(N)])
    adapter, _ = read(frame)
    assert [column.name for column in adapter.columns] == ["0", "1"]


# Labels by name


@pytest.mark.parametrize("form", ["pandas", "polars", "pyarrow", "columns"])
def test_a_column_named_as_label_is_one(form):
    rest = {name: column for name, column in TABLE.items() if name != "age"}
    adapter, packed = read(pa.table(rest))
    source = open_source(FORMS[form](), adapter, labels="age")
    assert source.labels.tolist() == AGE
    assert torch.equal(adapter.batch_tokenize(list(source)).values, packed.values)
    with pytest.raises(BadInput, match="column that the model reads; found 'day'"):
        open_source(FORMS[form](), adapter, labels="day")


def test_an_unknown_column_is_no_label():
    with pytest.raises(BadConfig, match="wage"):
        open_source(FORMS["pandas"](), TabularAdapter(), labels="wage")
