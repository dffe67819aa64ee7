"""The audio adapter: any recording becomes tokens, and comes back as its spectrogram."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymae.adapter import Adapter
from anymae.errors import BadConfig, BadInput
from anymae.masks import Mask
from anymae.masks.groups import AxisGroups
from anymae.modalities.audio.adapter import AudioAdapter
from anymae.tokens import OBSERVED, Packed, Tokens

from .sounds import RATE, complete, noise, tone

pytest.importorskip("torchaudio")


def spectrogram(adapter: AudioAdapter, waveform: np.ndarray) -> np.ndarray:
    return adapter._front_end(RATE).log_mel([torch.from_numpy(waveform)]).numpy()


# Tokens and back


@pytest.mark.parametrize("patch", [(4, 4), (4, 8), (1, 8), (3, 2), (16, 1)], ids=str)
@pytest.mark.parametrize("front_end", ["mel", "kaldi"])
@pytest.mark.parametrize("centre", ["data", "clip"])
def test_the_spectrogram_comes_back(patch, front_end, centre):
    adapter = complete(patch_size=patch, front_end=front_end, centre=centre)
    waveform = noise(2345)
    found = adapter.untokenize(adapter.tokenize(waveform))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, spectrogram(adapter, waveform), atol=1e-5)


def test_a_token_is_a_patch_of_frames_by_bands_time_first():
    adapter = complete()
    waveform = noise(1000)
    tokens = adapter.tokenize(waveform)
    frames = (spectrogram(adapter, waveform) + 3) / 2  # 13 frames of 8 bands
    assert tokens.coords.tolist() == [[t, f] for t in range(4) for f in range(2)]
    np.testing.assert_allclose(
        tokens.values[3].reshape(4, 4).numpy(), frames[4:8, 4:8], rtol=1e-4, atol=1e-5
    )
    assert (adapter.token_dim, adapter.token_shape, adapter.coord_dim) == (16, (4, 4), 2)


def test_frames_beyond_the_end_are_not_observed():
    tokens = complete().tokenize(noise(1000))
    observed = tokens.side[OBSERVED].view(4, 2, 4, 4)
    assert observed[:3].all()
    assert observed[3, :, 0].all()
    assert not observed[3, :, 1:].any()


def test_a_clip_of_one_frame_is_a_sample():
    adapter = complete(front_end="kaldi")
    tokens = adapter.tokenize(noise(200))
    assert len(tokens) == 2
    assert adapter.untokenize(tokens).shape == (1, 8)


def test_missing_values_and_tokens_are_missing_places():
    adapter = complete()
    tokens = adapter.tokenize(noise(1000))
    values = tokens.values.clone()
    values[2] = float("nan")
    found = adapter.untokenize(Tokens(values, tokens.coords, tokens.side))
    assert np.isnan(found[4:8, :4]).all()
    assert np.isfinite(np.delete(found, range(4, 8), 0)).all()
    order = torch.tensor([7, 3, 5, 0])
    some = Tokens(values[order], tokens.coords[order], {OBSERVED: tokens.side[OBSERVED][order]})
    found = adapter.untokenize(some)
    assert found.shape == (13, 8)
    assert np.isfinite(found).sum() == 4 * 4 * 3 + 4


def test_values_beyond_the_end_never_enter_the_embedding():
    adapter = complete()
    module = adapter.embed(12)
    packed = adapter.batch_tokenize([noise(1000), noise(777)])
    values = packed.values.clone()
    values[~packed.side[OBSERVED]] = 1e6
    spoiled = Packed(values, packed.coords, packed.segments, packed.side)
    assert torch.equal(module(packed), module(spoiled))


def test_the_embedding_knows_silence_from_nothing():
    adapter = complete()
    packed = adapter.batch_tokenize([noise(1000)])
    everything = {OBSERVED: torch.ones_like(packed.side[OBSERVED])}
    full = Packed(packed.values, packed.coords, packed.segments, everything)
    module = adapter.embed(12)
    assert not torch.allclose(module(packed)[-1], module(full)[-1])


# Batches


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(200, 4000), min_size=1, max_size=5),
    st.sampled_from(["mel", "kaldi"]),
    st.sampled_from([{}, {"centre": "clip"}, {"top_db": 30.0, "trim_db": 3.0}]),
)
def test_a_batch_equals_its_samples(lengths, front_end, levels):
    adapter = complete(front_end=front_end, **levels)
    samples = [noise(n, seed) for seed, n in enumerate(lengths)]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    torch.testing.assert_close(packed.values, wanted.values, rtol=1e-5, atol=1e-5)
    assert torch.equal(packed.coords, wanted.coords)
    assert torch.equal(packed.side[OBSERVED], wanted.side[OBSERVED])
    assert packed.offsets.tolist() == wanted.offsets.tolist()
    assert packed.context.keys() == wanted.context.keys()
    for name, value in packed.context.items():
        torch.testing.assert_close(value, wanted.context[name], rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(200, 2000)), min_size=1, max_size=4))
def test_a_batch_of_separate_channels_equals_its_samples(shapes):
    adapter = complete(channels="separate", centre="clip")
    samples = [noise(n, seed, channels=c) for seed, (c, n) in enumerate(shapes)]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    torch.testing.assert_close(packed.values, wanted.values, rtol=1e-5, atol=1e-5)
    assert torch.equal(packed.coords, wanted.coords)
    for sample, tokens in zip(samples, packed.split(), strict=True):
        assert adapter.untokenize(tokens).shape[0] == len(sample)


def test_a_batch_may_mix_rates_and_kinds():
    adapter = complete()
    samples = [noise(900), (noise(1800), 16000), (torch.from_numpy(noise(500, channels=2)), 8000)]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    torch.testing.assert_close(packed.values, wanted.values, rtol=1e-5, atol=1e-5)


def test_tokenizing_does_not_touch_the_waveform():
    waveform = noise(1000)
    before = waveform.copy()
    waveform.flags.writeable = False
    complete().tokenize(waveform)
    complete(channels="separate").augment((waveform, RATE), torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(waveform, before)


# Rates and channels


@pytest.mark.parametrize("rate", [4000, 7999, 11025, 16000, 44100, 48000, 192000])
def test_a_tone_is_where_it_is_at_any_rate(rate):
    adapter = complete(n_mels=32, patch_size=(4, 8))
    wanted = adapter.untokenize(adapter.tokenize(tone(1000)))
    found = adapter.untokenize(adapter.tokenize((tone(1000, rate=rate), rate)))
    assert abs(len(found) - len(wanted)) <= 1
    middle = slice(5, len(wanted) - 5)
    assert (found[middle].argmax(1) == wanted[middle].argmax(1)).all()
    top = wanted[middle].max()
    assert abs(found[middle].max() - top) < 0.1


@pytest.mark.parametrize("form", ["torchaudio", "hugging face", "tensor rate"])
def test_forms_of_a_waveform_with_its_rate(form):
    waveform = noise(1800)
    sample = {
        "torchaudio": (torch.from_numpy(waveform)[None], 16000, "seven", 3),
        "hugging face": {"array": waveform, "sampling_rate": 16000, "path": None},
        "tensor rate": (waveform, torch.tensor(16000)),
    }[form]
    adapter = complete()
    found, wanted = adapter.tokenize(sample), adapter.tokenize((waveform, 16000))
    assert torch.equal(found.values, wanted.values)


def test_channels_are_mixed():
    adapter = complete()
    both = noise(1000, channels=2)
    found, wanted = adapter.tokenize(both), adapter.tokenize(both.mean(0))
    torch.testing.assert_close(found.values, wanted.values)


def test_channels_may_be_kept_apart():
    adapter = complete(channels="separate")
    both = noise(1000, channels=2)
    tokens = adapter.tokenize(both)
    assert adapter.coord_dim == tokens.coords.shape[1] == 3
    assert tokens.coords[:, 2].tolist() == [0] * 8 + [1] * 8
    found = adapter.untokenize(tokens)
    for channel in range(2):
        np.testing.assert_allclose(found[channel], spectrogram(adapter, both[channel]), atol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", ">i2", "float64", "float16"])
def test_number_types_mean_the_same_sound(dtype):
    waveform = tone(700, loud=0.8)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        other = waveform.astype(kind)
    elif kind.kind == "u":
        other = np.round(waveform * 128 + 128).astype(kind)
    else:
        other = np.round(waveform * np.iinfo(kind).max).astype(kind)
    adapter = complete()
    wanted, found = adapter.tokenize(waveform).values, adapter.tokenize(other).values
    loud = wanted > 2
    assert loud.any()
    torch.testing.assert_close(found[loud], wanted[loud], rtol=0, atol=0.05)


@pytest.mark.parametrize("options", [{"centre": "clip"}, {"top_db": 70.0}], ids=str)
def test_loudness_can_be_taken_away(options):
    quiet, loud = 0.02 * noise(3000), noise(3000)
    relative, by_data = complete(**options), complete()
    torch.testing.assert_close(
        relative.tokenize(quiet).values, relative.tokenize(loud).values, rtol=0, atol=1e-3
    )
    found = relative.untokenize(relative.tokenize(quiet))
    np.testing.assert_allclose(found, spectrogram(relative, quiet), atol=1e-4)
    apart = by_data.tokenize(loud).values - by_data.tokenize(quiet).values
    assert float(apart[tokens_known(by_data, loud)].min()) > 3


def tokens_known(adapter: Adapter, waveform: np.ndarray) -> torch.Tensor:
    return adapter.tokenize(waveform).side[OBSERVED]


@pytest.mark.parametrize("channels", [1, 2])
def test_silence_around_a_sound_is_trimmed_and_pauses_stay(channels):
    adapter = complete(trim_db=30.0)
    hush = 0.001 * noise(1600)
    sound = np.r_[tone(500), hush, tone(800)]
    waveform = np.stack([np.r_[hush, sound, hush]] * channels)
    waveform[1:] *= 0.0
    found = adapter.untokenize(adapter.tokenize(waveform))
    wanted = adapter.untokenize(adapter.tokenize(sound))
    # Windows of 25 ms every 10 ms: those that overlap the sound by little are loud enough.
    assert len(wanted) <= len(found) <= len(wanted) + 4
    assert len(adapter.untokenize(adapter.tokenize(hush))) > 15
    assert len(adapter.untokenize(adapter.tokenize(np.zeros(1000, np.float32)))) == 13


def test_nothing_lies_further_below_the_loudest_than_top_db():
    adapter = complete(top_db=10.0)
    found = adapter.untokenize(adapter.tokenize(noise(3000)))
    wanted = spectrogram(adapter, noise(3000))
    decibels = 10 / np.log(10) * (found - wanted.max())
    assert abs(decibels.min() + 10) < 1e-3
    kept = decibels > -9.9
    assert 0.05 < kept.mean() < 0.95
    np.testing.assert_allclose(found[kept], wanted[kept], atol=1e-4)


# What is refused


REFUSED = {
    "empty": (noise(0), "not a waveform"),
    "empty channels": (np.zeros((2, 0), np.float32), "not a waveform"),
    "three axes": (np.zeros((1, 2, 900), np.float32), "not a waveform"),
    "one number": (np.float32(3), "not a waveform"),
    "channels last": (noise(900)[:, None], "channels first"),
    "short": (noise(199), "shorter than one frame"),
    "short at its rate": ((noise(390), 16000), "shorter than one frame"),
    "NaN": (np.r_[noise(500), np.nan], "nan in a waveform.*found 1 of 501"),
    "infinite": (np.r_[noise(500), np.inf], "inf in a waveform"),
    "huge": (np.full(500, 1e300), "not finite or too large"),
    "int64": (np.zeros(900, np.int64), "full scale"),
    "booleans": (np.zeros(900, bool), "full scale"),
    "rate 3": ((noise(900), 3), "not a sample rate"),
    "rate dog": ((noise(900), "dog"), "not a sample rate"),
    "rate NaN": ((noise(900), float("nan")), "not a sample rate"),
    "rate true": ((noise(900), True), "not a sample rate"),
    "no rate": ((noise(900), None), "not a sample rate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_recording_is_refused(case):
    sample, said = REFUSED[case]
    with pytest.raises(BadInput, match=said):
        complete().tokenize(sample)


def test_the_place_of_a_bad_number_is_named():
    both = noise(900, channels=2)
    both[1, 77] = np.nan
    with pytest.raises(BadInput, match="channel 1, sample 77"):
        complete(channels="separate").tokenize(both)


def test_an_array_without_a_rate_is_answered_with_the_option():
    with pytest.raises(BadInput, match=r"rate of a waveform is not known.*sample_rate"):
        AudioAdapter().fit([noise(3000)])


def test_an_unfitted_adapter_says_what_to_do():
    with pytest.raises(BadConfig, match=r"sample_rate yet.*fit"):
        AudioAdapter().tokenize((noise(900), RATE))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patch_size": (4, 3)}, "does not divide"),
        ({"mean": (0.0, 1.0)}, "mean has 2 numbers for 8 bands"),
        ({"std": (1.0, 1.0)}, "std has 2 numbers"),
        ({"std": (0.0,)}, "std"),
        ({"mean": (float("nan"),)}, "mean"),
        ({"crop": (0.9, 0.5)}, "crop"),
        ({"hop": 3}, "hop"),
    ],
    ids=str,
)
def test_fields_that_do_not_fit_are_refused_also_from_a_checkpoint(options, said):
    with pytest.raises(ValueError, match=said):
        complete(**options)


@pytest.mark.parametrize(
    "options",
    [{"low": 5000.0}, {"high": 10.0}, {"hop_ms": 40.0}, {"hop_ms": 0.01}, {"window_ms": 0.2}],
    ids=str,
)
def test_front_ends_that_measure_nothing_are_refused(options):
    with pytest.raises(BadConfig):
        complete(**options).tokenize(noise(900))


def test_too_many_bands_are_refused():
    with pytest.raises(BadConfig, match="too narrow"):
        complete(n_mels=1024, sample_rate=384_000).tokenize(noise(20_000))


# Masks


@pytest.mark.parametrize(("axis", "lines"), [(0, 16), (1, 4)])
def test_time_and_frequency_masks_hide_whole_lines(axis, lines):
    adapter = complete(n_mels=16)
    packed = adapter.batch_tokenize([noise(63 * 80)]).with_keys(torch.tensor([1]))
    mask = Mask(groups=AxisGroups(axes=(axis,))).with_ratio(0.5)
    hidden = packed.coords[mask.draw(packed).hide, axis]
    assert len(hidden) == 32
    assert len(hidden.unique()) == lines // 2
