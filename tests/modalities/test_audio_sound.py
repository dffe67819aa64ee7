"""The front ends are torchaudio's, batched; and a spectrogram becomes sound again."""

import numpy as np
import pytest
import torch

from anymae.errors import BadInput
from anymae.modalities.audio.spectrogram import FLOOR, FrontEnd, _fft_length

from .sounds import RATE, complete, noise, tone

transforms = pytest.importorskip("torchaudio.transforms")
kaldi = pytest.importorskip("torchaudio.compliance.kaldi")

SETTINGS = [
    (16000, 400, 160, 80),
    (22050, 551, 220, 40),
    (8000, 200, 80, 64),
    (44100, 2048, 512, 128),
]


@pytest.mark.parametrize(("rate", "window", "hop", "bands"), SETTINGS)
def test_mel_is_torchaudios(rate, window, hop, bands):
    front_end = FrontEnd("mel", rate, bands, window, hop, 20.0, rate / 2)
    theirs = transforms.MelSpectrogram(
        rate, _fft_length(front_end), window, hop, 20.0, rate / 2, n_mels=bands
    )
    clips = [torch.from_numpy(noise(n, n)) for n in (5003, 2100, 9000)]
    wanted = [theirs(clip).clamp(min=FLOOR).log().T for clip in clips]
    assert [front_end.frames(len(clip)) for clip in clips] == [len(w) for w in wanted]
    torch.testing.assert_close(front_end.log_mel(clips), torch.cat(wanted), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("rate", "window", "hop", "bands"), [(16000, 400, 160, 128), (8000, 200, 80, 40)]
)
def test_kaldi_is_torchaudios(rate, window, hop, bands):
    front_end = FrontEnd("kaldi", rate, bands, window, hop, 20.0, rate / 2)
    clips = [torch.from_numpy(noise(n, n)) + 0.05 for n in (5003, window, 9000)]
    wanted = [
        kaldi.fbank(
            clip[None] - clip.mean(), htk_compat=True, sample_frequency=rate, use_energy=False,
            window_type="hanning", num_mel_bins=bands, dither=0.0, frame_shift=10,
        )
        for clip in clips
    ]  # fmt: skip
    assert [front_end.frames(len(clip)) for clip in clips] == [len(w) for w in wanted]
    torch.testing.assert_close(front_end.log_mel(clips), torch.cat(wanted), rtol=0, atol=1e-3)


def test_a_clip_does_not_feel_its_neighbours():
    front_end = FrontEnd("mel", RATE, 16, 200, 80, 20.0, 4000.0)
    clip = torch.from_numpy(noise(1000))
    loud = torch.full((3000,), 1e3)
    alone, between = front_end.log_mel([clip]), front_end.log_mel([loud, clip, loud])
    first = front_end.frames(3000)
    torch.testing.assert_close(between[first : first + len(alone)], alone, rtol=0, atol=1e-5)


def test_silence_is_the_floor():
    front_end = FrontEnd("mel", RATE, 16, 200, 80, 20.0, 4000.0)
    found = front_end.log_mel([torch.zeros(1000)])
    torch.testing.assert_close(found, torch.full((13, 16), FLOOR).log())


def test_every_band_measures_something():
    front_end = FrontEnd("mel", 16000, 128, 400, 160, 20.0, 8000.0)
    assert _fft_length(front_end) == 1024  # at 512, one band lies between two frequencies
    assert (front_end.log_mel([torch.from_numpy(noise(4000))]) > np.log(FLOOR) + 1).all()


# Sound


@pytest.mark.parametrize("front_end", ["mel", "kaldi"])
def test_a_spectrogram_sounds_like_what_it_was_of(front_end):
    adapter = complete(front_end=front_end, n_mels=64, patch_size=(4, 16))
    waveform, _ = adapter.example(1)
    wanted = adapter.untokenize(adapter.tokenize(waveform))
    sound = adapter.sound(wanted)
    assert sound.dtype == np.float32
    assert abs(len(sound) - len(waveform)) < 80
    found = adapter.untokenize(adapter.tokenize(sound))[: len(wanted)]
    wanted = wanted[: len(found)]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95
    assert np.abs(found - wanted).mean() < 0.8


def test_a_tone_sounds_at_its_pitch_and_loudness():
    adapter = complete(n_mels=64, patch_size=(4, 16))
    sound = adapter.sound(adapter.untokenize(adapter.tokenize(tone(440))))
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert abs(np.fft.rfftfreq(len(sound), 1 / RATE)[power.argmax()] - 440) < 15
    assert abs(sound[800:-800].std() / tone(440).std() - 1) < 0.2


def test_sound_is_deterministic_and_leaves_the_generator_alone():
    adapter = complete(n_mels=32)
    spectrogram = adapter.untokenize(adapter.tokenize(tone(500)))
    before = torch.get_rng_state()
    np.testing.assert_array_equal(adapter.sound(spectrogram), adapter.sound(spectrogram))
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_sound_each():
    adapter = complete(n_mels=32, channels="separate")
    both = np.stack([tone(500), tone(900)])
    sound = adapter.sound(adapter.untokenize(adapter.tokenize(both)))
    assert sound.shape == (2, 4000)
    np.testing.assert_allclose(
        sound[1], adapter.sound(adapter.untokenize(adapter.tokenize(both))[1]), atol=1e-6
    )


@pytest.mark.parametrize("case", ["bands", "frames", "missing"])
def test_what_has_no_sound_is_refused(case):
    spectrogram = {
        "bands": np.zeros((20, 7)),
        "frames": np.zeros((1, 8)),
        "missing": np.full((20, 8), np.nan),
    }[case]
    with pytest.raises(BadInput, match="spectrogram"):
        complete().sound(spectrogram)
