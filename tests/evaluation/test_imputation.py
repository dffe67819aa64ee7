"""Imputation: what is hidden stays hidden, errors are what they say, tables come back filled."""

import datetime

import numpy as np
import pytest
import torch

import anymae
from anymae.config import with_overrides
from anymae.data.sources import open_source
from anymae.errors import BadConfig
from anymae.evaluation.imputation import impute
from anymae.evaluation.imputation.answering import answers
from anymae.evaluation.imputation.errors import errors
from anymae.evaluation.imputation.grid import Grid, grid_of, places_of
from anymae.evaluation.imputation.simple import chained, mean_or_mode, neighbours
from anymae.evaluation.protocols import imputation
from anymae.evaluation.protocols.imputation import Imputation
from anymae.model import Model
from anymae.registry import modality, recipe

ENCODER = anymae.EncoderConfig(width=32, depth=1, heads=2)


def table(count=300, seed=0, gaps=0.05):
    """Two numbers that say each other and a category that follows them; some cells are missing."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=count)
    word = np.where(x > 0, "up", "down").astype(object)
    word[draw.random(count) < gaps] = None
    y = np.where(draw.random(count) < gaps, np.nan, 3 - 2 * x)
    return {"x": x, "y": y, "word": word, "noise": draw.normal(size=count)}


def model_of(dataset, **options):
    adapter = modality("tabular")(**options)
    adapter = adapter.fit(open_source(dataset, adapter))
    method = with_overrides(recipe("mae"), adapter.numbers("mae"), "recipe mae")
    return Model(adapter, method, ENCODER, seed=0).eval()


@pytest.fixture(scope="module")
def untrained():
    return model_of(table())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return anymae.pretrain(
        table(600), "tabular", size=ENCODER, steps=150, batch_size=64, lr=1e-2,
        out=tmp_path_factory.mktemp("imputer") / "run",
    ).model  # fmt: skip


def packed_of(model, dataset):
    adapter = model.adapter
    packed = adapter.batch_tokenize(list(open_source(dataset, adapter)))
    return packed.with_keys(torch.arange(len(packed)))


# Hiding


@pytest.mark.parametrize("missing", [0.1, 0.5, 0.95])
def test_the_asked_fraction_is_hidden_but_never_a_whole_row(untrained, missing):
    packed = packed_of(untrained, table(2000, gaps=0))
    places = places_of([packed])
    hidden = Imputation(missing=missing)._hidden(packed, places)
    by_row = hidden.view(2000, 4)
    assert int(by_row.sum(1).max()) <= 3
    wanted = missing - missing**4 / 4  # a row that would lose all keeps one of four
    assert float(hidden.float().mean()) == pytest.approx(wanted, abs=0.02)
    assert bool((by_row.float().mean(0).sub(wanted).abs() < 0.04).all())


def test_hiding_follows_the_seed_alone(untrained):
    def masks(seed):
        scored = Imputation(test_rows=100)
        source = open_source(table(200), untrained.adapter)
        batches = imputation._batches(untrained, source, scored.test_rows, seed)
        return torch.cat([scored._hidden(packed, places_of(batches)) for packed in batches])

    assert torch.equal(masks(0), masks(0))
    assert not torch.equal(masks(0), masks(1))


def test_answers_do_not_depend_on_what_is_hidden(untrained):
    packed = packed_of(untrained, table(50))
    hidden = Imputation(missing=0.4)._hidden(packed, places_of([packed]))
    changed = packed.values.clone()
    changed[hidden] = 99.0
    wanted = answers(untrained, packed, hidden, "fp32")
    assert len(wanted) == int(hidden.sum())
    other = type(packed)(changed, packed.coords, packed.segments, packed.side, keys=packed.keys)
    assert torch.equal(answers(untrained, other, hidden, "fp32"), wanted)
    seen = packed.values.clone()
    seen[~hidden] += 1.0
    other = type(packed)(seen, packed.coords, packed.segments, packed.side, keys=packed.keys)
    assert not torch.equal(answers(untrained, other, hidden, "fp32"), wanted)


# Errors


def grid(values, choice=(False, True)):
    """A number and a category of three in each row; None is missing."""
    shown = torch.zeros(len(values), 2, 3)
    known = torch.zeros(len(values), 2, 3, dtype=torch.bool)
    for row, (number, word) in enumerate(values):
        if number is not None:
            shown[row, 0, 0], known[row, 0, 0] = number, True
        if word is not None:
            shown[row, 1, word], known[row, 1] = 1.0, True
    return Grid(shown, known, torch.tensor(choice))


def test_errors_are_relative_to_means_and_modes():
    truth = grid([(1.0, 0), (3.0, 1), (5.0, 1), (7.0, 2)])
    hidden = torch.tensor([[True, True], [True, True], [False, True], [True, False]])
    trivial = torch.tensor([[2.0, 0, 0], [0.2, 0.6, 0.2]]).expand(4, -1, -1)
    said = truth.values.clone()
    said[:, 0, 0] += torch.tensor([3.0, 0.0, 100.0, 4.0])  # the third is not hidden
    said[1, 1] = torch.tensor([0.5, 0.4, 0.1])  # one wrong of three
    found = errors(truth, said, trivial, hidden)
    by_place = found.by_place(torch.ones(1, 4).double())[0]
    assert float(by_place[0]) == pytest.approx((25 / 27) ** 0.5)  # of 9, 0, 16 to 1, 1, 25
    assert float(by_place[1]) == pytest.approx(1.0)  # the mode is wrong once as well
    assert float(found.over_places(torch.ones(1, 4).double())) == pytest.approx(
        ((25 / 27) ** 0.5 + 1) / 2
    )
    assert found.mean_error(True) == pytest.approx(1 / 3)
    assert found.mean_error(False) == pytest.approx((25 / 3) ** 0.5)


def test_an_impossible_category_is_never_the_answer():
    truth = grid([(1.0, 0), (2.0, 0)])
    known = truth.known.clone()
    known[:, 1, 2] = False  # the column has two categories
    truth = Grid(truth.values, known, truth.choice)
    said = torch.tensor([[[0.0, 0, 0], [0.2, 0.1, 0.9]]]).expand(2, -1, -1)
    hidden = torch.tensor([[False, True]] * 2)
    assert float(errors(truth, said, said, hidden).own[:, 1].sum()) == 0


def test_a_place_that_the_mode_always_gets_right_is_left_out():
    truth = grid([(1.0, 1), (3.0, 1)])
    hidden = torch.ones(2, 2, dtype=torch.bool)
    trivial = torch.tensor([[2.0, 0, 0], [0.0, 1.0, 0]]).expand(2, -1, -1)
    found = errors(truth, truth.values, trivial, hidden).by_place(torch.ones(1, 2).double())[0]
    assert float(found[0]) == 0
    assert bool(found[1].isnan())


# Simple imputers


def grids(train, test):
    model = model_of(train)
    both = [packed_of(model, train), packed_of(model, test)]
    places = places_of(both)
    return [grid_of([packed], places) for packed in both]


def test_means_and_modes_are_of_what_is_there():
    dataset = table(200, gaps=0.2)
    train, test = grids(dataset, dataset)
    found = mean_or_mode(train, test)
    model = model_of(dataset)
    y = next(c for c in model.adapter.columns if c.name == "y")
    wanted = (np.nanmean(dataset["y"]) - y.mean) / y.std
    assert float(found[0, 1, 0]) == pytest.approx(wanted, abs=1e-5)
    words = [w for w in dataset["word"] if w is not None]
    assert float(found[5, 2, 0]) == pytest.approx(words.count("down") / len(words), abs=1e-6)


@pytest.mark.parametrize(
    "impute_with", [lambda a, b: neighbours(a, b, 3), lambda a, b: chained(a, b, 5)],
    ids=["neighbours", "chained"],
)  # fmt: skip
def test_good_imputers_find_what_follows_from_the_rest(impute_with):
    train, test = grids(table(400, gaps=0), table(60, seed=1, gaps=0))
    hidden = torch.zeros(60, 4, dtype=torch.bool)
    hidden[::2, 1] = hidden[1::2, 2] = True
    said = impute_with(train, test.without(hidden))
    found = errors(test, said, mean_or_mode(train, test), hidden)
    y, word = found.by_place(torch.ones(1, 60).double())[0, [1, 2]].tolist()
    assert y < 0.45
    assert word < 0.45
    kept = test.without(hidden).known
    torch.testing.assert_close(said[kept], test.values[kept])  # what is known stays


def test_chained_regressions_agree_with_scikit_learn_on_numbers():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(300, 2)) @ draw.normal(size=(2, 5))) + 0.1 * draw.normal(
        size=(300, 5)
    )
    gone = draw.random(rows.shape) < 0.1
    shown = np.where(gone, np.nan, rows)
    with_gaps = torch.from_numpy(shown).float()[:, :, None]
    whole = Grid(with_gaps.nan_to_num(), ~with_gaps.isnan(), torch.zeros(5, dtype=torch.bool))
    train, test = (Grid(whole.values[p], whole.known[p], whole.choice) for p in
                   (slice(0, 200), slice(200, 300)))  # fmt: skip
    found = chained(train, test, 20)[:, :, 0].numpy()
    theirs = IterativeImputer(Ridge(1.0), max_iter=20, tol=0, imputation_order="roman")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.fit(shown[:200]).transform(shown[200:])
    error = np.abs(found - wanted)[gone[200:]]
    assert float(error.mean()) < 0.05 * float(np.abs(wanted[gone[200:]]).mean())


# The protocol


def test_a_model_that_learned_beats_mean_and_mode_and_random_weights(trained):
    scores = anymae.evaluate(
        trained, table(400, seed=2), table(200, seed=3), seeds=3,
        protocol={"kind": "imputation", "missing": 0.3},
    )  # fmt: skip
    assert scores.better == "lower"
    assert scores.value < 0.75  # one of four columns is noise, and partners may be hidden
    assert scores.interval[0] < scores.value < scores.interval[1]
    assert scores.over_random_init.interval[1] < 0
    assert scores.random_init.value > 0.9
    assert 0.3 < scores.raw.value < 0.8
    by_place = scores.details["relative error by place"]
    assert min(by_place) < 0.6 < 0.9 < max(by_place)
    assert 0 < scores.details["relative error of chained regressions"] < 1
    assert "lower is better" in str(scores)


@pytest.mark.parametrize(("said", "value"), [("truth", 0.0), ("mean", 1.0)])
def test_perfect_answers_score_0_and_means_1(untrained, monkeypatch, said, value):
    def answer(model, batches, hidden, places, truth, reading):
        if said == "truth":
            return truth.values
        train = [packed_of(untrained, table())]
        return mean_or_mode(grid_of(train, places), truth)

    monkeypatch.setattr(imputation, "_said", answer)
    scores = anymae.evaluate(untrained, table(), table(100, seed=1), protocol="imputation", seeds=1)
    assert scores.value == pytest.approx(value, abs=1e-6)


def test_one_seed_one_score(untrained):
    def run(seed):
        asked = {"kind": "imputation", "test_rows": 80}
        scores = anymae.evaluate(untrained, table(), protocol=asked, seeds=1, seed=seed)
        return scores.value, scores.interval, scores.raw.value

    assert run(0) == run(0)
    assert run(0)[0] != run(1)[0]


def test_any_modality_can_be_asked(digits, small):
    adapter = modality("image")(patch_size=4, crop_scale=None, flip=False).fit(digits[0][:200])
    raw = with_overrides(recipe("mae"), {"target.normalise": "none"}, "mae")
    scores = anymae.evaluate(
        Model(adapter, raw, small).eval(), digits[0][:300], digits[0][300:400],
        protocol="imputation", seeds=1,
    )  # fmt: skip
    assert scores.raw.value < 0.9


def test_models_that_do_not_say_content_are_refused(model, digits):
    with pytest.raises(BadConfig, match="normalised by token"):
        anymae.evaluate(model, digits[0][:50], protocol="imputation")
    with pytest.raises(BadConfig, match="does not say what a sample lacks"):
        impute(model, digits[0][:5])


# Filling tables


def frames():
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    frame = pd.DataFrame(table(40, seed=5, gaps=0.3), index=[f"r{i}" for i in range(40)])
    return frame, pl.from_pandas(frame), pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["pandas", "polars", "pyarrow"])
def test_a_table_comes_back_filled_and_otherwise_as_it_was(trained, which):
    frame, dataset = frames()[0], frames()[which]
    found = impute(trained, dataset)
    assert type(found) is type(dataset)
    filled = found if which == 0 else found.to_pandas()
    assert not filled.isna().any().any()
    assert list(filled.columns) == list(frame.columns)
    for name in frame.columns:
        there = frame[name].notna().to_numpy()
        assert filled[name].to_numpy()[there].tolist() == frame[name].to_numpy()[there].tolist()
    gone = frame["y"].isna().to_numpy()
    error = filled["y"].to_numpy()[gone] - (3 - 2 * frame["x"].to_numpy()[gone])
    assert float(np.abs(error).mean()) < 1.0  # of a deviation of 2
    if which == 0:
        assert filled.index.tolist() == frame.index.tolist()
        assert filled.dtypes.equals(frame.dtypes)


def test_other_tables_come_back_as_rows(trained):
    rows = impute(trained, [{"x": 1.0, "y": None, "word": None, "noise": 0.1}, {"x": -1.0}])
    assert [row["word"] for row in rows] == ["up", "down"]
    assert rows[0]["x"] == pytest.approx(1.0, abs=1e-5)
    assert rows[0]["y"] < rows[1]["y"]


def test_filled_cells_have_the_type_of_their_column():
    pd = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({
        "n": pd.array(draw.integers(0, 99, 60), "Int64"), "c": pd.Categorical(list("abc") * 20),
        "t": pd.date_range("2024-01-01", periods=60), "b": pd.array([True, False] * 30, "boolean"),
        "label": ["k"] * 59 + [None],
    })  # fmt: skip
    model = model_of(frame, label="label")
    frame.iloc[3, 0] = frame.iloc[4, 1] = frame.iloc[5, 2] = frame.iloc[6, 3] = None
    before = frame.copy()
    found = impute(model, frame)
    pd.testing.assert_frame_equal(frame, before)  # the user's own is not touched
    assert found.dtypes.equals(frame.dtypes)
    assert not found.drop(columns="label").isna().any().any()
    assert found["label"].isna().sum() == 1  # which is not the model's to say
    assert isinstance(found["t"][5], datetime.datetime)
