"""Audio files: what soundfile reads, and what its header may claim."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from anymae.errors import BadInput, missing_extra

EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aif", ".aiff", ".au", ".w64")
_BLOCK = 1 << 20
"""Frames decoded at once: memory follows what is there, not what the header says."""


def read_audio(
    file: BinaryIO, name: str, seconds_limit: int, bytes_limit: int
) -> tuple[np.ndarray, int]:
    """((channels, samples) float32 in [-1, 1], samples a second) from an open file.

    Length, rate and channels are checked before anything is decoded; ``seconds_limit`` counts
    seconds times channels. Of a file that was cut off, libsndfile gives what is there, but for
    FLAC. Raises ``BadInput`` naming the file.
    """
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there, its library is not
        raise missing_extra("soundfile", "audio", f"{name}: reading audio files") from None
    try:
        with soundfile.SoundFile(file) as audio:
            _refuse_huge(audio, name, seconds_limit, bytes_limit)
            frames, rate = audio.frames, audio.samplerate
            blocks = [audio.read(min(_BLOCK, frames), dtype="float32", always_2d=True)]
            while len(blocks[-1]) == _BLOCK and sum(map(len, blocks)) < frames:
                blocks.append(audio.read(_BLOCK, dtype="float32", always_2d=True))
    except BadInput:
        raise
    except Exception as error:  # libsndfile's wrapper raises several types on damaged files
        reason = str(error).split(">: ")[-1] or type(error).__name__
        raise BadInput(
            f"cannot be decoded as audio: {reason}",
            where=name,
            expected="a complete audio file",
        ) from None
    waveform = np.ascontiguousarray(np.concatenate(blocks).T)
    if waveform.shape[1] == 0:
        raise BadInput("the recording is empty", where=name, found="0 samples")
    return waveform, rate


def _refuse_huge(audio: object, name: str, seconds_limit: int, bytes_limit: int) -> None:
    frames, channels, rate = (
        int(getattr(audio, field)) for field in ("frames", "channels", "samplerate")
    )
    seconds = frames / max(rate, 1) * channels
    if seconds > seconds_limit or 4 * frames * channels > bytes_limit:
        raise BadInput(
            "recording too long to decode safely",
            where=name,
            found=f"{frames:,} samples of {channels} channels at {rate} Hz",
            expected=f"at most {seconds_limit:,} seconds times channels and {bytes_limit:,} bytes",
            hint="Cut it into shorter files, or raise modality_options seconds_limit or "
            "bytes_limit if you trust the file.",
        )
