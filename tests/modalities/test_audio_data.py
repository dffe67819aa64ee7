"""What the audio adapter learns from its data, its augmentation, and a whole small run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.errors import BadConfig, BadInput
from anymae.modalities.audio.adapter import AudioAdapter
from anymae.modalities.audio.waveforms import resampled

from .sounds import RATE, complete, noise, tone

pytest.importorskip("torchaudio")
soundfile = pytest.importorskip("soundfile")


def recordings(count: int = 6, rate: int = RATE) -> list[tuple[np.ndarray, int]]:
    return [(noise(1500 + 700 * i, i) * (1 + i), rate) for i in range(count)]


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# What is learned from the data


@pytest.mark.parametrize("front_end", ["mel", "kaldi"])
def test_statistics_are_those_of_all_frames(front_end):
    samples = recordings()
    adapter = AudioAdapter(n_mels=16, front_end=front_end).fit(iter(samples))
    frames = np.concatenate([adapter.untokenize(adapter.tokenize(s)) for s in samples])
    np.testing.assert_allclose(adapter.mean, frames.mean(0), rtol=1e-4)
    np.testing.assert_allclose(adapter.std, frames.std(0), rtol=1e-3)
    values = adapter.batch_tokenize(samples)
    known = values.values[values.side["observed"]]
    assert abs(float(known.mean())) < 1e-3
    assert abs(float(known.std()) - 1) < 1e-2


def test_the_rate_is_the_most_common_one():
    samples = [*recordings(2, 16000), *recordings(3, 8000), *recordings(1, 44100)]
    adapter = AudioAdapter().fit(samples)
    assert (adapter.sample_rate, adapter.n_mels) == (8000, 64)
    lengths = [len(adapter.untokenize(adapter.tokenize(sample))) for sample in samples]
    assert lengths == [1 + round(len(w) / r * 8000) // 80 for w, r in samples]


def test_statistics_are_of_the_recordings_that_have_the_rate():
    loud = [(100 * w, 16000) for w, _ in recordings(2)]
    assert AudioAdapter().fit([*recordings(3), *loud]) == AudioAdapter().fit(recordings(3))


def test_a_given_rate_is_kept_and_belongs_to_arrays():
    adapter = AudioAdapter(sample_rate=16000).fit([noise(9000), (noise(4500), 8000)])
    assert (adapter.sample_rate, adapter.n_mels) == (16000, 128)


@pytest.mark.parametrize(("seconds", "frames"), [(3, 16), (1.2, 8), (0.6, 4), (0.3, 2), (0.05, 1)])
def test_the_patch_follows_the_length(seconds, frames):
    samples = [(noise(round(seconds * RATE), i), RATE) for i in range(3)]
    assert AudioAdapter().fit(samples).patch_size == (frames, 16)


def test_what_is_given_is_not_learned():
    given = {"patch_size": (3, 4), "n_mels": 32, "mean": (-4.27,), "std": (4.57,)}
    adapter = AudioAdapter(**given).fit(recordings())
    assert {field: getattr(adapter, field) for field in given} == given
    tokens = adapter.tokenize(recordings(1)[0])
    assert adapter.untokenize(tokens).shape[1] == 32


def test_a_fitted_adapter_is_rebuilt_from_json():
    adapter = AudioAdapter(centre="clip").fit(recordings())
    again = AudioAdapter(**json.loads(json.dumps(adapter.model_dump(mode="json"))))
    assert again == adapter


@pytest.mark.parametrize(
    ("samples", "said"),
    [([], "no recording"), ([(np.zeros(3000, np.float32), RATE)] * 2, "silent or constant")],
    ids=["none", "silence"],
)
def test_nothing_to_learn_from_is_refused(samples, said):
    with pytest.raises(BadInput, match=said):
        AudioAdapter().fit(samples)


def test_statistics_that_do_not_fit_the_data_are_refused():
    with pytest.raises(BadConfig, match="mean has 3 numbers for 64 bands"):
        AudioAdapter(mean=(0.0, 1.0, 2.0)).fit(recordings())


def test_silence_among_sounds_is_no_problem():
    samples = [*recordings(), (np.zeros(3000, np.float32), RATE)]
    for options in ({}, {"centre": "clip"}, {"top_db": 60}):
        adapter = AudioAdapter(**options).fit(samples)
        assert bool(adapter.tokenize(samples[-1]).values.isfinite().all())


def test_raw_features_are_means_and_deviations_of_bands():
    adapter = AudioAdapter(n_mels=16, centre="clip").fit(recordings())
    sample = recordings()[3]
    frames = adapter.untokenize(adapter.tokenize(sample))
    wanted = np.concatenate([frames.mean(0), frames.std(0)])
    np.testing.assert_allclose(adapter.raw_features(adapter.tokenize(sample)), wanted, rtol=1e-5)


# Resampling


@pytest.mark.parametrize(("rate", "wanted"), [(44101, 16000), (999_983, 8000), (8000.5, 16000)])
def test_rates_without_small_ratios_are_resampled_nearly(rate, wanted):
    seconds = 0.25
    waveform = torch.from_numpy(tone(500, seconds, rate=round(rate)))[None]
    found = resampled(waveform, rate, wanted)
    assert abs(found.shape[1] - waveform.shape[1] / rate * wanted) < 3
    power = np.abs(np.fft.rfft(found[0].numpy()))
    pitch = np.fft.rfftfreq(found.shape[1], 1 / wanted)[power.argmax()]
    assert abs(pitch - 500) < 5


# Augmentation


def test_augmentation_is_a_function_of_its_generator():
    adapter = complete(speed=0.2, gain=6.0, crop=(0.5, 1.0))
    sample = noise(4000)
    before = torch.get_rng_state()
    one, two = (adapter.augment(sample, drawn(3)) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert one[1] == two[1]
    others = {adapter.augment(sample, drawn(seed))[0].numpy().tobytes() for seed in range(20)}
    assert len(others) == 20
    assert torch.equal(torch.get_rng_state(), before)


def test_augmentation_changes_nothing_unless_asked():
    waveform, rate = complete().augment(noise(4000), drawn(0))
    np.testing.assert_array_equal(waveform[0], noise(4000))
    assert rate == RATE


def test_long_recordings_are_cut_anywhere():
    ramp = np.linspace(0, 1, 40_000, dtype=np.float32)
    adapter = complete(max_seconds=1.0)
    parts = [adapter.augment(ramp, drawn(seed))[0] for seed in range(100)]
    assert {part.shape for part in parts} == {(1, 8000)}
    begins = np.array([float(part[0, 0]) for part in parts])
    assert begins.min() < 0.1
    assert begins.max() > 0.7
    assert 0.3 < begins.mean() < 0.5


def test_crops_speed_and_gain_have_their_ranges():
    adapter = complete(crop=(0.5, 0.9), speed=0.2, gain=6.0)
    sample = np.ones(4000, np.float32)
    found = [adapter.augment(sample, drawn(seed)) for seed in range(200)]
    lengths = np.array([part.shape[1] for part, _ in found]) / 4000
    speeds = np.array([rate for _, rate in found]) / RATE
    gains = 20 * np.log10([float(part[0, 0]) for part, _ in found])
    for values, low, high in ((lengths, 0.5, 0.9), (speeds, 0.8, 1.2), (gains, -6, 6)):
        slack = 0.05 * (high - low)
        assert low - 1e-3 <= values.min() < low + slack
        assert high - slack < values.max() <= high + 1e-3


def test_speed_moves_pitch_and_length():
    adapter = complete(n_mels=64, patch_size=(4, 16), speed=0.2)
    waveform = tone(1000)
    part, rate = adapter.augment(waveform, drawn(1))
    assert abs(rate / RATE - 1) > 0.02
    still = adapter.untokenize(adapter.tokenize(waveform))
    moved = adapter.untokenize(adapter.tokenize((part, rate)))
    assert abs(len(moved) / len(still) - RATE / rate) < 0.05
    wanted = adapter.untokenize(adapter.tokenize(tone(1000 * rate / RATE)))
    assert abs(moved[20].argmax() - wanted[20].argmax()) <= 1


@pytest.mark.parametrize("samples", [200, 201, 230, 245, 300])
def test_short_clips_survive_augmentation(samples):
    adapter = complete(crop=(0.1, 0.5), speed=0.2)
    for seed in range(30):
        assert len(adapter.tokenize(adapter.augment(noise(samples), drawn(seed)))) > 0


# A whole run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Low and high tones of many lengths and two rates, as wav and flac in folders by class."""
    root = tmp_path_factory.mktemp("tones")
    draw = np.random.default_rng(0)
    for kind, low in (("low", 200), ("high", 1500)):
        (root / kind).mkdir()
        for i in range(12):
            rate = 16000 if i % 4 == 0 else RATE
            clip = tone(low * draw.uniform(1, 1.5), draw.uniform(0.2, 0.6), rate)
            clip += 0.05 * noise(len(clip), i)
            soundfile.write(root / kind / f"{i}.{'flac' if i % 3 else 'wav'}", clip, rate)
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return anymae.pretrain(
        folder,
        modality="audio",
        size=anymae.EncoderConfig(width=32, depth=2, heads=2),
        steps=30,
        batch_size=8,
        lr=2e-3,
        modality_options={"speed": 0.1, "centre": "clip"},
        out=tmp_path_factory.mktemp("runs") / "tones",
    )


def test_a_folder_of_sounds_trains_and_tells_them_apart(run, folder):
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert (run.model.adapter.sample_rate, run.model.adapter.n_mels) == (RATE, 64)
    features = run.model.embed(folder)
    assert features.shape == (24, 32)
    scores = anymae.evaluate(run.model, folder, folder, protocol="knn")
    assert scores.value > 0.9


def test_features_do_not_depend_on_the_batch(run, folder):
    alone, together = run.model.embed(folder, batch_size=1), run.model.embed(folder)
    np.testing.assert_allclose(alone, together, atol=2e-4)


def test_a_run_is_loaded_and_drawn(run, folder, tmp_path):
    model = anymae.load(run.path)
    assert model.adapter == run.model.adapter
    paths = sorted(folder.rglob("*.wav"))[:3]
    picture = model.reconstruct(paths)
    for original, masked, rebuilt in zip(
        picture.original, picture.masked, picture.reconstruction, strict=True
    ):
        assert original.shape == masked.shape == rebuilt.shape
        hidden = np.isnan(masked)
        assert 0.4 < hidden.mean() < 0.95
        np.testing.assert_allclose(rebuilt[~hidden], original[~hidden], atol=1e-4)
        assert np.isfinite(rebuilt).all()
    picture.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 2000
    assert np.isfinite(model.adapter.sound(picture.reconstruction[0])).all()


def test_labels_beside_a_waveform_and_its_rate_are_labels(tmp_path):
    samples = [((noise(1500, i), RATE), i % 2) for i in range(6)]
    run = anymae.pretrain(samples, modality="audio", size="nano", steps=1, out=tmp_path / "run")
    assert run.model.embed(samples).shape[0] == 6
