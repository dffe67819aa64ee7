"""Forecasting: windows are cut right, ridge is ridge, features of one channel stay its own."""

import numpy as np
import pytest
import torch

import anymae
from anymae.config import with_overrides
from anymae.errors import BadConfig, BadInput, CheckpointError, IncompatibleRecipe
from anymae.evaluation import FineTuned
from anymae.evaluation.forecasting import ridge
from anymae.evaluation.forecasting.errors import Errors, Judged, errors_of, last_value
from anymae.evaluation.forecasting.examples import Examples, Scale, whole_series
from anymae.evaluation.forecasting.features import TokenFeatures, raw_features
from anymae.evaluation.forecasting.forecaster import Forecaster
from anymae.model import Model
from anymae.recipes.pixels import MAE
from anymae.registry import modality

LENGTH, CHANNELS = 400, 2


def long_series(seed: int = 0, length: int = LENGTH) -> np.ndarray:
    """(T, 2): sums of waves that continue lawfully, in units of their own."""
    draw = np.random.default_rng(seed)
    time = np.arange(length)[:, None]
    waves = np.sin(time / 3.7 + draw.uniform(0, 6, 2)) + np.sin(time / 11.3 + draw.uniform(0, 6, 2))
    return [100, -5] + [20, 0.1] * (waves + 0.05 * draw.normal(size=waves.shape))


def examples(series, look_back=32, horizon=8, stride=1) -> Examples:
    return Examples.of(series, look_back, horizon, Scale.of(series), stride)


def forecaster_model(channels: str = "independent", seed: int = 0) -> Model:
    """An untrained model of windows of 32 steps in patches of 8."""
    adapter = modality("timeseries")(window=32, patch=8, channels=channels)
    adapter = adapter.fit([long_series()[start : start + 32] for start in range(0, 320, 32)])
    numbers = adapter.numbers("mae")
    own = {k.removeprefix("encoder."): v for k, v in numbers.items() if k.startswith("encoder.")}
    rest = {k: v for k, v in numbers.items() if not k.startswith("encoder.")}
    encoder = with_overrides(anymae.EncoderConfig(width=16, depth=2, heads=2), own, "encoder")
    return Model(adapter, with_overrides(MAE, rest, "mae"), encoder, seed=seed).eval()


# Examples


def test_every_window_counts_and_none_reaches_past_the_end():
    series = [np.arange(50.0)[:, None], np.arange(40.0)[:, None] + 1000]
    found = examples(series)
    assert len(found) == (50 - 40 + 1) + (40 - 40 + 1)
    batch = found.batch(np.array([10, 11]))
    standard = lambda x: (np.asarray(x) - found.scale.mean) / found.scale.std  # noqa: E731
    np.testing.assert_allclose(batch.past[0, 0], standard(np.arange(10, 42)), rtol=1e-5)
    np.testing.assert_allclose(batch.future[0, 0], standard(np.arange(42, 50)), rtol=1e-5)
    np.testing.assert_allclose(batch.future[1, 0], standard(np.arange(1032, 1040)), rtol=1e-5)
    np.testing.assert_array_equal(batch.samples[0][:, 0], np.arange(10, 42))


def test_windows_with_missing_values_are_left_out():
    series = long_series()
    series[100, 1] = np.nan
    starts = examples([series]).places[:, 1]
    assert len(starts) == LENGTH - 39 - 40
    assert ((starts > 100) | (starts + 40 <= 100)).all()


def test_the_scale_is_that_of_the_training_series():
    train = long_series()
    train[3, 0] = np.nan
    scale = Scale.of([train])
    np.testing.assert_allclose(scale.mean, np.nanmean(train, 0))
    np.testing.assert_allclose(scale.std, np.nanstd(train, 0))


def test_a_series_too_short_is_refused():
    with pytest.raises(BadInput, match=r"train.*found at most 30 steps.*at least 32 \+ 8"):
        examples([long_series(length=30)])


def test_windowed_data_stand_for_the_whole_series():
    model = forecaster_model()
    from anymae.data.sources import open_source

    for dataset in (long_series(), [long_series()]):
        (found,) = whole_series(open_source(dataset, model.adapter), model.adapter)
        np.testing.assert_allclose(found, long_series(), rtol=1e-5)


# Ridge


def test_ridge_is_the_weighted_least_squares_it_says():
    found = examples([long_series(), long_series(1)])
    penalty = 1e-2
    fitted = ridge.fitted(found, raw_features, (penalty,), 0.2)
    batch = found.batch(np.arange(len(found)))
    x = raw_features(batch)
    rows = torch.cat([x, torch.ones_like(x[:, :, :1])], 2) * batch.spread
    rows, targets = (t.flatten(0, 1).double() for t in (rows, batch.future - batch.centre))
    gram = rows.T @ rows
    shrink = penalty * gram.diagonal()[:-1].mean() * torch.eye(len(gram)).double()
    shrink[-1, -1] = 0
    wanted = torch.linalg.solve(gram + shrink, rows.T @ targets)
    torch.testing.assert_close(fitted.weight.double(), wanted, rtol=1e-3, atol=1e-4)
    said = fitted.of(x, batch)
    apart = (rows @ wanted - targets).square().mean()
    assert float((said - batch.future).square().mean()) == pytest.approx(float(apart), rel=1e-3)


def test_features_that_repeat_one_another_are_no_trouble():
    found = examples([np.sin(np.arange(200.0) / 4)[:, None]])
    doubled = lambda batch: torch.cat([raw_features(batch), raw_features(batch) + 1], 2)  # noqa: E731
    fit = ridge.fitted(found, doubled, (1e-5, 1e-3), 0.2)
    errors = errors_of(found, lambda batch: fit.of(doubled(batch), batch))
    assert float(errors.squared.mean()) < 1e-4


def test_the_error_of_moments_is_the_error_of_rows():
    draw = torch.Generator().manual_seed(0)
    rows, targets = torch.randn(50, 4, generator=draw), torch.randn(50, 3, generator=draw)
    moments = ridge.Moments.nothing(3, 3)
    moments.add(rows[:20], targets[:20])
    moments.add(rows[20:], targets[20:])
    weight = torch.randn(4, 3, generator=draw).double()
    wanted = (rows.double() @ weight - targets).square().mean()
    assert moments.error(weight) == pytest.approx(float(wanted))


def test_the_penalty_is_chosen_on_the_end():
    # A relation that holds early and reverses at the end: only a huge penalty does no harm there.
    draw = np.random.default_rng(0)
    sign = np.where(np.arange(600) < 450, 1.0, -1.0)
    values = np.zeros(600)
    for step in range(1, 600):
        values[step] = 0.9 * sign[step] * values[step - 1] + draw.normal()
    chosen = ridge.fitted(examples([values[:, None]], 8, 1), raw_features, (1e-4, 100.0), 0.25)
    assert chosen.penalty == 100.0
    steady = ridge.fitted(examples([values[:450, None]], 8, 1), raw_features, (1e-4, 100.0), 0.25)
    assert steady.penalty == 1e-4


# Features


@pytest.mark.parametrize("channels", ["independent", "mixed"])
def test_token_features_are_the_tokens_of_each_channel(channels):
    model = forecaster_model(channels)
    batch = examples([long_series()]).batch(np.array([0, 7]))
    found = TokenFeatures(model, -1, "fp32")(batch)
    assert found.shape == (2, CHANNELS, 4 * 16)
    tokens = model.embed(batch.samples, pool=None)
    np.testing.assert_allclose(found[1].flatten(), tokens[1].reshape(-1), rtol=1e-4, atol=1e-5)
    first = TokenFeatures(model, 0, "fp32")(batch)
    taken = model.embed(batch.samples, pool=None, layer=0)
    np.testing.assert_allclose(first[0].flatten(), taken[0].reshape(-1), rtol=1e-4, atol=1e-5)


def test_joint_channels_are_refused():
    model = forecaster_model("joint")
    with pytest.raises(IncompatibleRecipe, match=r"single channels.*independent"):
        anymae.evaluate(model, long_series(), long_series(1), protocol="forecasting")


# The protocol


def protocol(**fields) -> dict:
    return {"kind": "forecasting", "horizon": 8, **fields}


def test_lawful_series_are_forecast():
    model = forecaster_model()
    scores = anymae.evaluate(
        model, long_series(), long_series(1), protocol=protocol(), seeds=2, precision="fp32"
    )
    assert (scores.metric, scores.better, scores.protocol) == ("MSE", "lower", "forecasting")
    assert (scores.train_samples, scores.test_samples) == (361, 361)
    assert scores.value < 0.2 < scores.details["last_value"]
    assert scores.raw.value < 0.2
    assert scores.interval[0] <= scores.value <= scores.interval[1]
    assert scores.over_raw.value == pytest.approx(scores.value - scores.raw.value)
    assert scores.details["mae"] < scores.value**0.5 + 1e-9
    assert "lower is better" in str(scores)
    again = anymae.evaluate(
        model, long_series(), long_series(1), protocol=protocol(), seeds=2, precision="fp32"
    )
    assert again.value == scores.value
    assert again.interval == scores.interval


def test_the_value_is_the_error_over_every_test_window():
    model = forecaster_model()
    scores = anymae.evaluate(
        model, long_series(), long_series(1), protocol=protocol(penalties=(0.01,)), seeds=1
    )
    train = examples([long_series()])
    test = Examples.of([long_series(1)], 32, 8, train.scale)
    fit = ridge.fitted(train, raw_features, (0.01,), 0.2)
    wanted = errors_of(test, lambda batch: fit.of(raw_features(batch), batch)).squared.mean()
    assert scores.raw.value == pytest.approx(float(wanted), rel=1e-3)
    repeated = errors_of(test, last_value).squared.mean()
    assert scores.details["last_value"] == pytest.approx(float(repeated), rel=1e-3)


def test_intervals_know_that_neighbours_overlap():
    draw = torch.Generator().manual_seed(0)
    slow = torch.randn(40, generator=draw).square().double().repeat_interleave(25)
    errors = Errors(slow, slow)
    widths = [
        (lambda s: s.interval[1] - s.interval[0])(Judged([errors], block, 0).score())
        for block in (1, 25)
    ]
    assert widths[1] > 3 * widths[0]
    assert Judged([errors], 25, 0).over(Judged([errors], 25, 0)).interval == (0, 0)


def test_options_and_lengths_are_checked():
    model = forecaster_model()
    with pytest.raises(BadConfig, match="horizon"):
        anymae.evaluate(model, long_series(), long_series(1), protocol=protocol(horizon=0))
    with pytest.raises(BadInput, match=r"test.*at least 32"):
        anymae.evaluate(model, long_series(), long_series(1, 35), protocol=protocol())


# Fine-tuning


def henon(length: int = LENGTH) -> np.ndarray:
    """(T, 2): chaos whose next step no linear map knows (Henon 1976)."""
    values = [[0.1, 0.3], [0.2, 0.1]]
    for _ in range(length - 2):
        (old, older), (new, newer) = values[-2], values[-1]
        values.append([1 - 1.4 * new**2 + 0.3 * old, 1 - 1.4 * newer**2 + 0.3 * older])
    return np.array(values)


def test_fine_tuning_starts_from_the_probe_and_improves_on_it():
    model = forecaster_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    common = {"task": "forecasting", "horizon": 1, "precision": "fp32"}
    probe = anymae.finetune(model, henon(), 0.3, epochs=0, **common)
    tuned = anymae.finetune(model, henon(), 0.3, epochs=15, lr=3e-3, **common)
    assert len(probe.history) == 1
    assert tuned.history[0]["validation_mse"] == probe.history[0]["validation_mse"]
    best = min(row["validation_mse"] for row in tuned.history)
    assert best < 0.8 * probe.history[0]["validation_mse"]
    held = henon()[280 - 32 :]
    assert tuned.score(held) == pytest.approx(best, rel=1e-4)
    assert tuned.history[-1]["loss"] < tuned.history[1]["loss"]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    score = anymae.evaluate(
        model, henon()[:280], held, protocol=protocol(horizon=1), seeds=1, precision="fp32"
    )
    assert probe.score(held) == pytest.approx(score.value, rel=1e-3)


def test_the_best_epoch_is_kept_the_probe_included():
    model = forecaster_model()
    common = {"task": "forecasting", "horizon": 8, "precision": "fp32"}
    probe = anymae.finetune(model, long_series(), 0.3, epochs=0, **common)
    spoilt = anymae.finetune(model, long_series(), 0.3, epochs=1, lr=0.5, clip=None, **common)
    assert spoilt.history[-1]["validation_mse"] > 2 * spoilt.history[0]["validation_mse"]
    held = long_series()[280 - 32 :]
    assert spoilt.score(held) == probe.score(held)


def test_predictions_continue_series_in_their_units():
    tuned = anymae.finetune(
        forecaster_model(), long_series(), task="forecasting", horizon=8, epochs=0
    )
    whole = long_series()
    found = tuned.predict([whole[:300], whole[:360]])
    assert found.shape == (2, 8, 2)
    assert found.dtype == np.float32
    for row, end in zip(found, (300, 360), strict=True):
        apart = (row - whole[end : end + 8]) / whole.std(0)
        assert np.abs(apart).mean() < 0.3
    np.testing.assert_array_equal(tuned.predict(whole[:300]), found[:1])


def test_a_forecaster_is_saved_and_loaded(tmp_path):
    tuned = anymae.finetune(
        forecaster_model(), long_series(), task="forecasting", horizon=8, epochs=1
    )
    folder = tuned.save(tmp_path / "tuned")
    for loaded in (Forecaster.load(folder), FineTuned.load(folder)):
        assert isinstance(loaded, Forecaster)
        np.testing.assert_array_equal(loaded.predict(long_series()), tuned.predict(long_series()))
        assert loaded.history == tuned.history
    (folder / "config.json").write_text((folder / "config.json").read_text().replace(
        '"horizon": 8', '"horizon": 9'))  # fmt: skip
    with pytest.raises(CheckpointError):
        Forecaster.load(folder)


def test_missing_values_and_short_series_cannot_be_continued():
    tuned = anymae.finetune(
        forecaster_model(), long_series(), task="forecasting", horizon=8, epochs=0
    )
    holed = long_series()
    holed[390, 1] = np.nan
    with pytest.raises(BadInput, match=r"missing value.*series 0, step 390, channel 1|step 390"):
        tuned.predict([holed])
    with pytest.raises(BadInput, match="shorter than the look-back"):
        tuned.predict([long_series(length=31)])
    with pytest.raises(BadConfig, match="only classification"):
        tuned.predict_proba([holed])


def test_unknown_options_are_refused():
    with pytest.raises(BadConfig, match=r"finetune.*horizont"):
        anymae.finetune(forecaster_model(), long_series(), task="forecasting", horizont=8)
    with pytest.raises(BadConfig, match=r"unknown task 'forecast'.*forecasting"):
        anymae.finetune(forecaster_model(), long_series(), task="forecast")
