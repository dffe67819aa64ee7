"""Audio files: what soundfile reads, and what nobody should."""

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from anymae.adapter import read_file
from anymae.errors import BadInput, MissingExtra
from anymae.modalities.audio.adapter import AudioAdapter

from .sounds import RATE, noise, tone

soundfile = pytest.importorskip("soundfile")
FORMATS = soundfile.available_formats()


def read(path: Path, **options) -> tuple[np.ndarray, int]:
    return read_file(AudioAdapter(**options), path)


def refused(path: Path, **options) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(BadInput) as caught:
        read(path, **options)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# What is read


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("ending", ["wav", "flac", "aiff", "au", "w64", "WAV"])
def test_files_that_lose_nothing_come_back_exactly(tmp_path, ending, channels):
    path = tmp_path / f"a.{ending}"
    whole = np.random.default_rng(0).integers(-(2**15), 2**15, (1500, channels), dtype=np.int16)
    soundfile.write(path, whole, 22050, subtype="PCM_16")
    waveform, rate = read(path)
    assert (rate, waveform.shape, waveform.dtype) == (22050, (channels, 1500), np.float32)
    np.testing.assert_array_equal(waveform * 2**15, whole.T)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_other_codings_of_wav_are_read(tmp_path, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440), RATE, subtype=subtype)
    np.testing.assert_allclose(read(path)[0][0], tone(440), atol=0.02)


@pytest.mark.parametrize(("ending", "kind"), [("ogg", "VORBIS"), ("mp3", None), ("opus", "OPUS")])
def test_files_that_lose_something_come_back_nearly(tmp_path, ending, kind):
    if {"mp3": "MP3", "opus": "OGG", "ogg": "OGG"}[ending] not in FORMATS:
        pytest.skip(f"this libsndfile has no {ending}")
    path = tmp_path / f"a.{ending}"
    written = {"format": "OGG", "subtype": kind} if kind else {"format": "MP3"}
    soundfile.write(path, tone(440, rate=16000, seconds=1), 16000, **written)
    waveform, rate = read(path)
    assert abs(waveform.shape[1] / rate - 1) < 0.1
    power = np.abs(np.fft.rfft(waveform[0]))
    assert abs(np.fft.rfftfreq(waveform.shape[1], 1 / rate)[power.argmax()] - 440) < 5
    assert abs(waveform.std() - 0.3 / 2**0.5) < 0.02


def test_bytes_in_memory_are_read_too():
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(440), RATE, format="FLAC")
    buffer.seek(0)
    waveform, rate = AudioAdapter().read(buffer, "shard.tar/a.flac")
    assert (rate, waveform.shape) == (RATE, (1, 4000))


def test_a_long_file_is_read_whole(tmp_path):
    path = tmp_path / "a.wav"
    whole = np.random.default_rng(0).integers(-99, 99, 2_500_000, dtype=np.int16)
    soundfile.write(path, whole, 48000)
    np.testing.assert_array_equal(read(path)[0][0] * 2**15, whole)


def test_without_its_package_the_command_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440), RATE)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtra, match=r"a\.wav.*pip install 'anymae\[audio\]'"):
        read(path)


# What is not


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_an_empty_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"")
    refused(path)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_another_kind_of_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("this is a letter, not a sound\n" * 20)
    refused(path)


def test_a_recording_of_nothing_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0, np.float32), RATE)
    assert "empty" in refused(path)


@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_half_a_flac_is_refused(tmp_path, part):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(20_000), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path)


def wav_that_claims(rate: int, channels: int, bytes_of_data: int) -> bytes:
    """A wav whose header names more data than there is."""
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    data = b"data" + struct.pack("<I", bytes_of_data) + bytes(4000)
    return (
        (b"RIFF" + struct.pack("<I", 36 + bytes_of_data) + b"WAVEfmt " + struct.pack("<I", 16))
        + head
        + data
    )


def test_the_limits_are_kept_before_anything_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(3 * RATE, channels=2).T, RATE)
    never = lambda *_, **__: pytest.fail("it was decoded")  # noqa: E731
    monkeypatch.setattr(soundfile.SoundFile, "read", never)
    said = refused(path, seconds_limit=5)
    assert "24,000 samples of 2 channels at 8000 Hz" in said
    assert "seconds_limit" in said
    assert "too long" in refused(path, bytes_limit=100_000)


def test_limits_can_be_set(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(3 * RATE, channels=2).T, RATE)
    assert read(path, seconds_limit=6, bytes_limit=192_000)[0].shape == (2, 24_000)


def test_a_flac_that_claims_hours_is_refused_or_found_short(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(2000), RATE)
    content = bytearray(path.read_bytes())
    # STREAMINFO: 36 bits of the number of samples end at byte 26 of the file.
    content[22:26] = struct.pack(">I", 150_000_000)
    path.write_bytes(content)
    refused(path)
    content[22:26] = struct.pack(">I", 4_000_000_000)
    path.write_bytes(content)
    assert "too long" in refused(path)


def test_a_wav_that_claims_too_much_gives_what_it_has(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_that_claims(RATE, 1, 2**31))
    assert read(path)[0].shape == (1, 2000)


def test_a_path_that_is_not_there_is_named(tmp_path):
    assert "cannot be read: No such file" in refused(tmp_path / "none.wav")
