"""The time series adapter: series of any length, with gaps, become tokens and come back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae.errors import BadConfig, BadInput
from anymae.modalities.timeseries import Series
from anymae.modalities.timeseries.adapter import TimeSeriesAdapter, default_patch
from anymae.tokens import OBSERVED, Packed


def waves(count: int, length: int = 40, channels: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Smooth series whose channels have units of their own."""
    draw = np.random.default_rng(seed)
    time = np.arange(length)[:, None]
    offsets, scales = 10.0 ** np.arange(channels), 2.0 ** np.arange(channels)
    return [
        offsets + scales * np.sin(time / draw.uniform(2, 6, channels) + draw.uniform(0, 6))
        for _ in range(count)
    ]


def holed(series: np.ndarray, *places: tuple) -> np.ndarray:
    series = series.copy()
    for place in places:
        series[place] = np.nan
    return series


def fitted(samples: list, **options) -> TimeSeriesAdapter:
    return TimeSeriesAdapter(**options).fit(samples)


# Tokens and back

MODES = ("independent", "mixed", "joint")


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("normalise", ["instance", "data"])
@pytest.mark.parametrize("patch", [1, 4, 7])
def test_series_come_back(channels, normalise, patch):
    samples = [*waves(2), holed(waves(1, seed=1)[0], np.s_[3:12, 1], np.s_[:, 2], np.s_[20:28])]
    adapter = fitted(samples, channels=channels, normalise=normalise, patch=patch)
    for sample in samples:
        found = adapter.untokenize(adapter.tokenize(sample))
        np.testing.assert_allclose(found, sample, rtol=1e-6, atol=1e-5)


def test_a_large_offset_does_not_cost_digits():
    samples = [1e9 + sample for sample in waves(3, channels=1)]
    adapter = fitted(samples)
    found = adapter.untokenize(adapter.tokenize(samples[0]))
    np.testing.assert_allclose(found, samples[0], rtol=0, atol=1e-5)


def test_a_token_is_a_patch_of_one_channel():
    sample = np.arange(24.0).reshape(8, 3)
    adapter = fitted([sample], patch=4, normalise="data")
    tokens = adapter.tokenize(sample)
    assert tokens.coords.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [0, 2], [1, 2]]
    wanted = (sample[4:, 1] - sample[:, 1].mean()) / sample[:, 1].std()
    np.testing.assert_allclose(tokens.values[3].numpy(), wanted, rtol=1e-6)
    assert adapter.token_shape == (4,)


def test_a_joint_token_is_a_patch_of_all_channels_step_by_step():
    sample = np.arange(24.0).reshape(8, 3)
    adapter = fitted([sample], patch=4, channels="joint", normalise="data")
    tokens = adapter.tokenize(sample)
    assert (adapter.token_shape, adapter.coord_dim) == ((4, 3), 1)
    assert tokens.coords.tolist() == [[0], [1]]
    wanted = (sample[4:] - sample.mean(0)) / sample.std(0)
    np.testing.assert_allclose(tokens.values[1].numpy(), wanted.reshape(-1), rtol=1e-6)


def test_a_window_is_normalised_by_what_is_observed_of_it():
    samples = waves(4)
    adapter = fitted(samples, patch=8)
    sample = holed(samples[0], np.s_[5:20, 0])
    tokens = adapter.tokenize(sample)
    for channel in range(3):
        mine = tokens.coords[:, 1] == channel
        known = tokens.values[mine][tokens.side[OBSERVED][mine]]
        assert abs(float(known.mean())) < 1e-6
        assert float(known.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_the_last_patch_ends_with_the_series():
    sample = waves(1, length=10, channels=1)[0]
    adapter = fitted([sample], patch=4, normalise="data")
    tokens = adapter.tokenize(sample)
    assert tokens.side[OBSERVED].tolist() == [[False, False, True, True], [True] * 4, [True] * 4]
    wanted = (sample[-4:, 0] - sample.mean()) / sample.std()
    np.testing.assert_allclose(tokens.values[2].numpy(), wanted, rtol=1e-5)


def test_what_is_not_observed_is_no_token():
    sample = holed(waves(1, length=12, channels=2)[0], np.s_[4:8, 1], np.s_[9, 0])
    adapter = fitted(waves(2, channels=2), patch=4)
    tokens = adapter.tokenize(sample)
    assert tokens.coords.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [2, 1]]
    assert tokens.side[OBSERVED][2].tolist() == [True, False, True, True]
    assert tokens.values[2][1] == 0


def test_numbers_that_are_not_observed_do_not_reach_the_model():
    """Whatever stands at their place."""
    adapter = fitted(waves(2, channels=2), patch=4)
    tokens = adapter.tokenize(holed(waves(1, channels=2)[0], np.s_[5, 0]))
    packed = Packed.of([tokens])
    other = packed.values.masked_fill(~packed.side[OBSERVED], 99.0)
    assert not torch.equal(other, packed.values)
    embedding = adapter.embed(16)
    changed = Packed(other, packed.coords, packed.segments, packed.side)
    assert torch.equal(embedding(changed), embedding(packed))
    known = {OBSERVED: torch.ones_like(packed.side[OBSERVED])}
    shown = Packed(packed.values, packed.coords, packed.segments, known)
    assert not torch.equal(embedding(shown), embedding(packed))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.sampled_from(MODES),
    st.sampled_from(["instance", "data"]),
    st.integers(1, 6),
)
def test_a_batch_equals_its_samples(lengths, channels, normalise, patch):
    adapter = fitted(waves(3), channels=channels, normalise=normalise, patch=patch)
    draw = np.random.default_rng(sum(lengths))
    samples = []
    for seed, length in enumerate(lengths):
        sample = waves(1, length, seed=seed)[0]
        sample[1:][draw.random((length - 1, 3)) < 0.3] = np.nan
        samples.append(sample)
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    assert torch.equal(packed.values, wanted.values)
    assert torch.equal(packed.coords, wanted.coords)
    assert packed.offsets.tolist() == wanted.offsets.tolist()
    for kind in ("side", "context"):
        mine, theirs = getattr(packed, kind), getattr(wanted, kind)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for sample, tokens in zip(samples, packed.split(), strict=True):
        np.testing.assert_allclose(adapter.untokenize(tokens), sample, rtol=1e-5, atol=1e-5)


def test_missing_tokens_are_missing_steps():
    sample = waves(1, length=16, channels=2)[0]
    adapter = fitted([sample], patch=4)
    tokens = adapter.tokenize(sample)
    values = tokens.values.clone()
    values[5] = float("nan")  # channel 1, second patch
    found = adapter.untokenize(type(tokens)(values, tokens.coords, tokens.side, tokens.context))
    assert np.isnan(found[4:8, 1]).all()
    assert np.isfinite(np.delete(found, np.s_[4:8], 0)).all()
    assert np.isfinite(found[:, 0]).all()


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8", "bool"])
def test_other_number_types_are_series(dtype):
    sample = (waves(1, channels=1)[0] % 7 > 1).astype(dtype)
    adapter = fitted([sample, sample[:, 0]])
    assert adapter.channel_count == 1
    np.testing.assert_allclose(
        adapter.untokenize(adapter.tokenize(torch.from_numpy(sample))), sample, atol=1e-5
    )


def test_lists_may_hold_none_for_a_missing_number():
    adapter = fitted(waves(2, channels=1), patch=1)
    tokens = adapter.tokenize([1.0, None, 3.0])
    assert tokens.coords[:, 0].tolist() == [0, 2]


# What is learned


def test_statistics_are_those_of_all_observed_values():
    samples = [holed(sample, np.s_[:5, 0]) for sample in waves(3, 40)] + waves(1, 7, seed=5)
    adapter = fitted(samples)
    table = np.concatenate(samples)
    np.testing.assert_allclose(adapter.mean, np.nanmean(table, 0))
    np.testing.assert_allclose(adapter.std, np.nanstd(table, 0))
    assert adapter.length is None
    assert fitted(waves(3, 40)).length == 40


@pytest.mark.parametrize(("length", "patch"), [(24, 1), (64, 2), (100, 4), (300, 8), (1460, 16)])
def test_the_patch_follows_the_length(length, patch):
    assert default_patch(length) == patch


def test_one_channel_needs_no_windows():
    adapter = fitted(waves(2, channels=1))
    assert "encoder.layout" not in adapter.numbers("mae")
    numbers = fitted(waves(2, channels=2)).numbers("mae")
    assert numbers["encoder.window"] == (None, 1.0)
    assert numbers["target.normalise"] == "none"


def test_a_fitted_adapter_is_json():
    adapter = fitted(waves(3))
    again = TimeSeriesAdapter.model_validate_json(adapter.model_dump_json())
    assert again == adapter


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"irregular": True, "patch": 4}, "patch 1"),
        ({"channel_count": 2, "mean": (1.0,)}, "mean has 1 numbers for 2 channels"),
        ({"crop": (0.9, 0.5)}, "crop"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        TimeSeriesAdapter(**options)


def test_a_bad_option_is_one_typed_line():
    with pytest.raises(BadConfig, match=r"modality_options.*patchsize"):
        anymae.pretrain(waves(4), "timeseries", modality_options={"patchsize": 3})


# Who meets whom


def test_independent_channels_do_not_meet():
    samples = waves(4, channels=2)
    adapter = fitted(samples, patch=8)
    model = small_model(adapter)
    other = samples[0].copy()
    other[:, 1] = samples[1][:, 1]
    mine, theirs = model.embed([samples[0], other], pool=None)
    half = len(mine) // 2
    np.testing.assert_array_equal(mine[:half], theirs[:half])
    assert np.abs(mine[half:] - theirs[half:]).max() > 1e-3


def test_mixed_channels_meet_and_know_who_they_are():
    sample = np.repeat(waves(1, channels=1)[0], 2, 1)
    adapter = fitted([sample, *waves(3, channels=2)], patch=8, channels="mixed", normalise="data")
    mine, _ = model_of(adapter).embed([sample, waves(1, channels=2)[0]], pool=None)
    half = len(mine) // 2
    assert np.abs(mine[:half] - mine[half:]).max() > 1e-3


def model_of(adapter: TimeSeriesAdapter) -> anymae.Model:
    return small_model(adapter)


def small_model(adapter: TimeSeriesAdapter) -> anymae.Model:
    """An untrained model with the adapter's own settings."""
    from anymae.config import with_overrides
    from anymae.model import Model
    from anymae.recipes.pixels import MAE

    numbers = adapter.numbers("mae")
    own = {k.removeprefix("encoder."): v for k, v in numbers.items() if k.startswith("encoder.")}
    rest = {k: v for k, v in numbers.items() if not k.startswith("encoder.")}
    encoder = with_overrides(anymae.EncoderConfig(width=32, depth=2, heads=2), own, "encoder")
    return Model(adapter, with_overrides(MAE, rest, "mae"), encoder).eval()


# Refusals


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (np.zeros((2, 3, 4)), r"not a time series.*\(2, 3, 4\)"),
        (np.zeros((0, 3)), "not a time series"),
        (np.full((5, 3), np.inf), "infinite value"),
        (np.full((5, 3), np.nan), "nothing is observed"),
        (np.zeros((5, 2)), "wrong number of channels.*found 2.*expected 3"),
        (np.array([["a", "b", "c"]]), "real numbers"),
        (np.zeros((5, 3), complex), "real numbers"),
        ([[1.0, "x", 2.0]], "not a table of numbers"),
        (Series(np.zeros((3, 3)), [0.0, 2.0, 1.0]), "times must rise.*2, then 1"),
        (Series(np.zeros((3, 3)), [0.0, 1.0]), "times and values disagree"),
        (Series(np.zeros((3, 3)), ["a", "b", "c"]), "numbers or dates"),
        (Series(np.zeros((4, 3)), [0.0, 0.4, 1.7, 3.0]), "uneven.*irregular=True"),
    ],
)
def test_what_is_no_series_is_refused(sample, said):
    adapter = fitted(waves(3))
    with pytest.raises(BadInput, match=said):
        adapter.tokenize(sample)


def test_channels_must_agree():
    with pytest.raises(BadInput, match=r"disagree on their channels.*found 2.*expected 3"):
        fitted([*waves(1), *waves(1, channels=2)])


def test_a_constant_is_nothing_to_learn_from():
    with pytest.raises(BadInput, match="nothing to learn"):
        fitted([np.full((9, 2), 3.0)] * 3)


def test_a_bad_sample_is_named(tmp_path):
    samples = [*waves(3), np.full((40, 3), np.nan), *waves(4)]
    with pytest.raises(BadInput, match=r"sample 3.*nothing is observed"):
        anymae.pretrain(samples, "timeseries", size="nano", steps=2, out=tmp_path / "run")


def test_an_adapter_that_knows_nothing_says_so():
    with pytest.raises(BadConfig, match="does not know its patch yet"):
        TimeSeriesAdapter(channel_count=1).tokenize(np.zeros(5))
