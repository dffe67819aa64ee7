"""What a time series data set can be: arrays, long series as windows, tables, files, real ones."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.data.sources import open_source
from anymae.errors import BadInput, MissingExtra
from anymae.modalities.timeseries import Series
from anymae.modalities.timeseries.adapter import TimeSeriesAdapter
from anymae.modalities.timeseries.windows import default_window

pd = pytest.importorskip("pandas")

LONG = np.random.default_rng(0).normal(size=(300, 2)).cumsum(0)
HOURS = pd.date_range("2024-03-30", periods=300, freq="h")
TABLE = pd.DataFrame(LONG, columns=["load", "oil"], index=HOURS)


def samples(dataset, **options) -> list[np.ndarray]:
    return list(open_source(dataset, TimeSeriesAdapter(**options)))


# One long series


@pytest.mark.parametrize(
    "form",
    [LONG, torch.from_numpy(LONG), TABLE, TABLE.reset_index()],
    ids=["array", "tensor", "table", "column"],
)
def test_a_long_series_is_its_windows(form):
    found = samples(form, window=100, stride=40)
    assert len(found) == 6
    for number, window in enumerate(found):
        np.testing.assert_array_equal(window, LONG[40 * number : 40 * number + 100])


def test_windows_are_views():
    found = samples(LONG, window=100)
    assert len(found) == 201
    assert all(np.shares_memory(window, LONG) for window in found)


def test_windows_of_a_mapped_file_are_not_loaded(tmp_path):
    np.save(tmp_path / "long.npy", LONG)
    found = samples(tmp_path / "long.npy", window=100, stride=100)
    assert len(found) == 3
    np.testing.assert_array_equal(found[2], LONG[200:])
    base = found[0]
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_a_vector_is_one_long_series_of_one_channel():
    found = samples(LONG[:, 0], window=100, stride=100)
    np.testing.assert_array_equal(found[1], LONG[100:200, :1])


def test_without_a_window_arrays_have_samples_first():
    assert [one.shape for one in samples(LONG.reshape(10, 30, 2))] == [(30, 2)] * 10
    assert [one.shape for one in samples(LONG)] == [(2,)] * 300


def test_with_a_window_arrays_of_samples_stay_what_they_are():
    assert len(samples(LONG.reshape(10, 30, 2), window=8)) == 10


def test_a_table_without_a_window_has_a_default_one():
    assert [default_window(n) for n in (17420, 2048, 300, 64, 63)] == [512, 512, 64, 16, None]
    assert [len(one) for one in samples(TABLE)] == [64] * 237
    assert [len(one) for one in samples(TABLE[:50])] == [50]


def test_after_training_tables_are_cut_as_in_training():
    adapter = TimeSeriesAdapter().fit(samples(TABLE))
    assert adapter.length == 64
    assert {len(one) for one in open_source(pd.concat([TABLE] * 1)[:200], adapter)} == {64}


def test_a_series_shorter_than_its_window_is_refused():
    with pytest.raises(BadInput, match=r"shorter than a window.*found 300.*at least 301"):
        samples(LONG, window=301)


def test_windows_travel_to_other_processes():
    windows = TimeSeriesAdapter(window=100).native(LONG)
    again = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(again[200], LONG[200:])
    np.testing.assert_array_equal(again[-1], LONG[200:])
    with pytest.raises(IndexError):
        again[201]


# Tables and times


def test_missing_rows_are_missing_values():
    table = TABLE.drop(index=HOURS[[3, 4, 50]])
    found = samples(table, window=100, stride=100)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found[0][:, 0])), [3, 4, 50])
    np.testing.assert_array_equal(found[0][5:50], LONG[5:50])


def test_months_are_even_steps():
    table = pd.Series(np.arange(48.0), index=pd.date_range("2020-01-31", periods=48, freq="ME"))
    assert samples([table])[0] is not None
    adapter = TimeSeriesAdapter().fit([table])
    assert adapter.irregular is False
    assert adapter.length == 48


def test_a_named_column_holds_the_times():
    table = TABLE.reset_index(drop=True).assign(hour=HOURS.strftime("%d.%m.%Y %H:%M"))
    with pytest.raises(BadInput, match=r"column 'hour'.*time_column"):
        samples(table)
    table["hour"] = HOURS.astype(str)
    found = samples(table.sample(frac=1).sort_index(), window=300, time_column="hour")
    np.testing.assert_array_equal(found[0], LONG)
    with pytest.raises(BadInput, match="no column 'day'"):
        samples(table, time_column="day")


def test_rows_out_of_order_are_refused():
    with pytest.raises(BadInput, match="step 1: times must rise"):
        samples(TABLE[::-1])


def test_times_of_another_zone_and_nullable_numbers_are_read():
    table = TABLE.tz_localize("UTC").tz_convert("Europe/Vienna").astype("Float64")
    table.iloc[4, 1] = pd.NA
    found = samples(table, window=300)[0]
    assert np.isnan(found[4, 1])
    np.testing.assert_array_equal(found[5:], LONG[5:])


def test_a_list_of_tables_is_a_list_of_samples():
    found = samples([TABLE[:50], TABLE[50:90], TABLE["oil"][:20].to_frame().assign(load=1.0)])
    adapter = TimeSeriesAdapter(patch=4).fit(found)
    assert [len(adapter.tokenize(one)) for one in found] == [26, 20, 10]


# Files


@pytest.fixture
def files(tmp_path) -> Path:
    for name, part in (("a", TABLE[:150]), ("b", TABLE[150:])):
        folder = tmp_path / "csv" / name
        folder.mkdir(parents=True)
        part.to_csv(folder / "series.csv", index_label="date")
        part.to_csv(folder / "series.tsv", sep="\t")
        np.save(folder / "series.npy", part.to_numpy())
    return tmp_path / "csv"


@pytest.mark.parametrize("ending", ["csv", "tsv", "npy"])
def test_a_folder_of_files_is_a_series_each(files, ending):
    options = {"time_column": "Unnamed: 0"} if ending == "tsv" else {}
    source = open_source(str(files / "*" / f"series.{ending}"), TimeSeriesAdapter(**options))
    assert source.classes == ["a", "b"]
    adapter = TimeSeriesAdapter(patch=5, **options).fit(source)
    for sample, wanted in zip(source, (LONG[:150], LONG[150:]), strict=True):
        np.testing.assert_allclose(
            adapter.untokenize(adapter.tokenize(sample)), wanted, rtol=1e-6, atol=1e-5
        )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_file_is_one_long_series(tmp_path, ending):
    path = tmp_path / f"long.{ending}"
    TABLE.reset_index(names="date").to_csv(path, index=False) if ending == "csv" else (
        TABLE.to_parquet(path)
    )
    found = samples(str(path), window=100, stride=50)
    assert len(found) == 5
    np.testing.assert_allclose(found[4], LONG[200:], rtol=1e-12)


def test_rows_of_lists_in_parquet_are_samples(tmp_path):
    rows = [LONG[i : i + 20, 0].tolist() for i in range(6)]
    pd.DataFrame({"series": rows, "label": range(6)}).to_parquet(tmp_path / "rows.parquet")
    source = open_source(str(tmp_path / "rows.parquet"), TimeSeriesAdapter())
    assert len(source) == 6
    adapter = TimeSeriesAdapter(patch=4).fit(source)
    assert len(adapter.tokenize(source[5])) == 5
    assert source.label(3) == 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"date,x\n2020-01-01,1\n2020-01-02,hello\n", "column 'x'.*hello|channel must"),
        ("a.csv", b"date,x\nyesterday,1\ntoday,2\n", "cannot be read as times"),
        ("a.csv", b"\xff\xfe\x00broken\x00", "cannot be read as a table"),
        ("a.parquet", b"PAR1 not really", "a.parquet"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        samples(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_pandas_a_table_is_answered_with_the_command(tmp_path, monkeypatch):
    TABLE.to_csv(tmp_path / "a.csv")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"a\.csv.*pip install 'anymae\[timeseries\]'"):
        samples(tmp_path / "a.csv")


# Uneven times


def events(seed: int = 0, count: int = 30) -> Series:
    draw = np.random.default_rng(seed)
    times = np.sort(draw.uniform(0, 2880, count))
    values = np.stack([70 + 5 * np.sin(times / 300), 120 + 20 * np.cos(times / 500)], 1)
    values[draw.random((count, 2)) < 0.4] = np.nan
    values[0, 0] = 70.0
    values[:, 0] += draw.normal()
    values[:, 1] += 10 * draw.normal()
    return Series(values, times)


def known(series: Series) -> Series:
    """The steps at which anything is observed."""
    rows = ~np.isnan(series.values).all(1)
    return Series(series.values[rows], np.asarray(series.times)[rows])


@pytest.mark.parametrize("channels", ["mixed", "independent", "joint"])
def test_uneven_series_come_back(channels):
    several = [events(seed) for seed in range(5)]
    adapter = TimeSeriesAdapter(channels=channels).fit(several)
    assert (adapter.irregular, adapter.patch, adapter.normalise) == (True, 1, "data")
    for series in several:
        found = adapter.untokenize(adapter.tokenize(series))
        np.testing.assert_allclose(found.values, known(series).values, rtol=1e-5)
        np.testing.assert_allclose(found.times, known(series).times, rtol=1e-5)


def test_every_measurement_is_a_token_at_its_time():
    series = Series(np.array([[1.0, np.nan], [np.nan, 5.0], [2.0, 7.0]]), [0.0, 0.5, 6.0])
    adapter = TimeSeriesAdapter(irregular=True, time_unit=2.0).fit([series])
    tokens = adapter.tokenize(series)
    assert tokens.coords.tolist() == [[0, 0], [3, 0], [0.25, 1], [3, 1]]
    assert tokens.values[:, 0].tolist() == [-1, 1, -1, 1]


def test_the_unit_of_time_is_the_usual_spacing():
    adapter = TimeSeriesAdapter().fit([events(seed) for seed in range(9)])
    gaps = [float(np.median(np.diff(events(seed).times))) for seed in range(9)]
    assert adapter.time_unit == pytest.approx(np.median(gaps))


def test_dates_come_back_as_dates():
    times = np.array(["2024-01-01T00:00", "2024-01-01T07:31", "2024-03-01T12:00"], "datetime64[m]")
    series = Series(np.array([[1.0], [3.0], [2.0]]), times)
    adapter = TimeSeriesAdapter(irregular=True).fit([series])
    found = adapter.untokenize(adapter.tokenize(series))
    assert found.times.dtype.kind == "M"
    late = np.abs(found.times - times) / np.timedelta64(1, "s")
    assert late.max() < 1
    np.testing.assert_allclose(found.values, series.values, rtol=1e-6)


def test_a_batch_of_uneven_series_equals_its_samples():
    several = [events(seed, count) for seed, count in enumerate((30, 1, 12))]
    adapter = TimeSeriesAdapter().fit(several)
    packed = adapter.batch_tokenize(several)
    for series, tokens in zip(several, packed.split(), strict=True):
        alone = adapter.tokenize(series)
        assert torch.equal(tokens.values, alone.values)
        assert torch.equal(tokens.coords, alone.coords)
        assert tokens.context.keys() == alone.context.keys()


def test_arrays_among_uneven_series_are_refused():
    adapter = TimeSeriesAdapter().fit([events()])
    with pytest.raises(BadInput, match=r"without times.*Series"):
        adapter.tokenize(np.zeros((5, 2)))


def test_uneven_series_train(tmp_path):
    run = anymae.pretrain(
        [events(seed) for seed in range(32)],
        "timeseries",
        size=anymae.EncoderConfig(width=32, depth=2, heads=2),
        steps=60,
        batch_size=8,
        lr=3e-3,
        out=tmp_path / "run",
        **{"target.normalise": "none", "mask.ratio": 0.3, "training.workers": 0},
    )
    assert run.history[-1]["loss"] < 0.6 * run.history[0]["loss"]
    picture = run.model.reconstruct([events(1)])
    hidden = np.isnan(picture.masked[0].values) & ~np.isnan(picture.original[0].values)
    rebuilt, wanted = picture.reconstruction[0].values, known(events(1)).values
    assert hidden.any()
    assert (np.abs(rebuilt - wanted)[hidden] > 1e-3).all()
    shown = ~hidden & ~np.isnan(wanted)
    np.testing.assert_allclose(rebuilt[shown], wanted[shown], rtol=1e-5)


# Variation


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def varied(seed: int, sample=LONG, **options) -> np.ndarray:
    adapter = TimeSeriesAdapter(patch=1, **options).fit([LONG])
    return adapter.augment(sample, drawn(seed)).values


def test_nothing_varies_unless_asked():
    np.testing.assert_array_equal(varied(0), LONG)


def test_crops_are_consecutive_steps_of_any_share():
    found = [varied(seed, crop=(0.2, 0.6)) for seed in range(60)]
    lengths = [len(one) for one in found]
    assert (min(lengths), max(lengths)) >= (60, 150)
    assert max(lengths) <= 180
    starts = [int(np.flatnonzero((one[0] == LONG).all(1))[0]) for one in found]
    assert min(starts) < 40 < 120 < max(starts)
    for start, one in zip(starts, found, strict=True):
        np.testing.assert_array_equal(one, LONG[start : start + len(one)])


def test_rolled_series_begin_anywhere_and_lose_nothing():
    found = varied(1, roll=True)
    np.testing.assert_array_equal(np.sort(found, 0), np.sort(LONG, 0))
    assert not np.array_equal(found, LONG)


def test_scaled_and_jittered_series_stay_close():
    sample = LONG.copy()
    sample[7] = np.nan
    stretched = varied(0, sample, scale=0.2)
    ratio = np.nanstd(stretched, 0) / np.nanstd(sample, 0)
    assert (np.abs(np.log(ratio)) > 1e-3).all()
    np.testing.assert_allclose(np.nanmean(stretched, 0), np.nanmean(sample, 0))
    noise = varied(0, sample, jitter=0.1) - sample
    np.testing.assert_allclose(np.nanstd(noise, 0) / np.nanstd(sample, 0), 0.1, rtol=0.15)
    assert np.isnan(stretched[7]).all()
    assert np.isnan(noise[7]).all()


def test_variation_is_a_function_of_its_generator():
    options = {"crop": (0.5, 0.9), "roll": True, "scale": 0.1, "jitter": 0.1}
    before = torch.get_rng_state()
    np.testing.assert_array_equal(varied(3, **options), varied(3, **options))
    assert len({varied(seed, **options).tobytes() for seed in range(10)}) == 10
    assert torch.equal(torch.get_rng_state(), before)


# Learning and pictures


def phased(count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    time = np.arange(64)[:, None]
    return [np.sin(time / 8 + draw.uniform(0, 6, 2)) * [1, 30] + [0, 500] for _ in range(count)]


def test_a_run_reconstructs_in_units_and_loads_again(tmp_path):
    data = phased(16)
    options = {"patch": 8, "normalise": "instance"}
    run = anymae.pretrain(
        data, "timeseries", size="nano", steps=2, batch_size=8, out=tmp_path / "run",
        modality_options=options, **{"training.workers": 0},
    )  # fmt: skip
    assert run.model.encoder.config.layout == "window"
    loaded = anymae.load(run.path)
    np.testing.assert_array_equal(loaded.embed(data[:3]), run.model.embed(data[:3]))
    picture = loaded.reconstruct(data[:3])
    hidden = np.isnan(picture.masked[0])
    assert 0.3 < hidden.mean() < 0.7
    np.testing.assert_allclose(picture.reconstruction[0][~hidden], data[0][~hidden], rtol=1e-4,
                               atol=1e-4)  # fmt: skip
    apart = np.abs(picture.reconstruction[0] - data[0]) / [1, 30]
    assert 0.01 < apart[hidden].max() < 4
    picture.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000


@pytest.mark.slow
def test_waves_are_learned(tmp_path):
    run = anymae.pretrain(
        phased(256), "timeseries", size="nano", steps=400, batch_size=32, lr=3e-3,
        out=tmp_path / "run", modality_options={"patch": 8},
    )  # fmt: skip
    assert run.history[-1]["explained_variance"] > 0.5


def test_a_picture_shades_what_is_missing():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()
    adapter = TimeSeriesAdapter(patch=4).fit([LONG])
    sample = LONG.copy()
    sample[10:20, 0] = np.nan
    sample[290:, 1] = np.nan
    adapter.draw(axes, sample)
    assert len(axes.lines) == 2
    boxes = [shade.get_paths()[0].get_extents() for shade in axes.collections]
    assert [(box.x0, box.x1) for box in boxes] == [(9.5, 19.5), (289.5, 299.5)]
    assert boxes[0].y0 > boxes[1].y0


# Raw features


def test_raw_features_are_the_series():
    adapter = TimeSeriesAdapter(patch=8).fit([LONG])
    found = adapter.raw_features(adapter.tokenize(LONG)).numpy()
    np.testing.assert_allclose(found, LONG.T.reshape(-1), rtol=1e-4, atol=1e-4)


def test_raw_features_bridge_gaps_and_lengths():
    adapter = TimeSeriesAdapter(patch=1).fit([np.arange(8.0), np.arange(5.0) * 2])
    ramp = np.array([0, 1, np.nan, np.nan, 4, 5, 6.0])
    found = adapter.raw_features(adapter.tokenize(ramp)).numpy()
    np.testing.assert_allclose(found, np.linspace(0, 6, 128), atol=1e-5)


def test_raw_features_of_uneven_series_summarise_channels():
    series = Series(np.array([[1.0, np.nan], [4.0, np.nan], [1.0, np.nan]]), [0.0, 1.0, 9.0])
    adapter = TimeSeriesAdapter().fit([series, Series(np.array([[2.0, 8.0]]), [0.0])])
    found = adapter.raw_features(adapter.tokenize(series)).numpy()
    np.testing.assert_allclose(found[:7], [3, 2, 2**0.5, 1, 4, 1, 1], rtol=1e-5)
    np.testing.assert_allclose(found[7:], [0, 8, 0, 8, 8, 8, 8], rtol=1e-5)


# Real data


@pytest.fixture
def shared() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("ANYMAE_DATA", default))


def test_the_transformer_temperatures_are_read(shared):
    path = shared / "etth1" / "ETTh1.csv"
    if not path.exists():
        pytest.skip("no ETTh1.csv")
    source = open_source(str(path), TimeSeriesAdapter(window=512))
    assert len(source) == 17420 - 511
    adapter = TimeSeriesAdapter(window=512).fit([source[0], source[9000]])
    assert (adapter.patch, adapter.channels, adapter.channel_count) == (16, "independent", 7)
    tokens = adapter.tokenize(source[100])
    assert len(tokens) == 7 * 32
    np.testing.assert_allclose(adapter.untokenize(tokens), source[100], atol=1e-4)
