"""Log-mel spectrograms of many recordings at once, and sound from them.

The frames of all recordings lie on one axis, so that clips of any lengths are transformed together
on any device, none padded to another's length. Equal to torchaudio's MelSpectrogram and to its
Kaldi fbank.

Shapes: N samples, T frames, W samples a frame, K frequencies, M mel bands.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from anymae.errors import BadConfig, BadInput
from anymae.modalities.audio.waveforms import torchaudio_module

FLOOR = torch.finfo(torch.float32).eps
"""Smallest power whose logarithm is taken: about that of 16-bit rounding."""
PREEMPHASIS = 0.97
_AT_ONCE = {"cpu": 512}
"""Frames transformed together: on a CPU what its caches hold, thrice as fast as all at once."""
_MOST_AT_ONCE = 1 << 16
_LONGEST_FFT = 1 << 14


@dataclass(frozen=True)
class FrontEnd:
    """How sound becomes a log-mel spectrogram. All lengths are in samples.

    ``mel``: frames centred at multiples of ``hop``, the ends mirrored; HTK mel scale, triangles
    not normalised (torchaudio.transforms.MelSpectrogram). ``kaldi``: frames that lie inside the
    recording, each without its mean, pre-emphasised (torchaudio.compliance.kaldi.fbank with a Hann
    window and no dither, as AST and Audio-MAE use it). Both: power, natural logarithm.
    """

    kind: Literal["mel", "kaldi"]
    rate: int
    bands: int
    window: int
    hop: int
    low: float
    high: float

    def frames(self, samples: int) -> int:
        """How many frames a recording has; 0 if it is shorter than one."""
        if samples < self.window:
            return 0
        inside = samples if self.kind == "mel" else samples - self.window
        return 1 + inside // self.hop

    def log_mel(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, M) frames of mono waveforms (N,) on one device, one after another."""
        counts = [self.frames(len(waveform)) for waveform in waveforms]
        if self.kind == "mel":
            ends = (self.window + 1) // 2, self.window // 2
            waveforms = [F.pad(w[None], ends, "reflect")[0] for w in waveforms]
        flat = torch.cat(list(waveforms))
        begins, start = [], 0
        for waveform, count in zip(waveforms, counts, strict=True):
            begins.append(start + self.hop * torch.arange(count))
            start += len(waveform)
        at_once = _AT_ONCE.get(flat.device.type, _MOST_AT_ONCE)
        found = [self._of_frames(flat, at) for at in torch.cat(begins).split(at_once)]
        return torch.cat(found)

    def _of_frames(self, flat: Tensor, begins: Tensor) -> Tensor:
        window, bank = _tables(self, flat.device)
        frames = flat.unfold(0, self.window, 1)[begins.to(flat.device)]
        if self.kind == "kaldi":
            frames = frames - frames.mean(1, keepdim=True)
            before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
            frames = frames - PREEMPHASIS * before
        waves = torch.fft.rfft(frames * window, _fft_length(self))
        power = waves.real.square() + waves.imag.square()
        return (power @ bank).clamp(min=FLOOR).log()

    def sound(self, log_mel: Tensor, iterations: int) -> Tensor:
        """(N,) a waveform whose log-mel spectrogram is near ``log_mel`` (T, M).

        The power at each frequency is the least-squares one, never negative; phases are found by
        Griffin-Lim (Griffin and Lim 1984; fast version, Perraudin et al. 2013) from zero, so that
        the same spectrogram always makes the same sound. N is what the frames cover: (T - 1) hop,
        and with ``kaldi`` a window more, whose outer halves are silent.
        """
        audio = torchaudio_module()
        window, bank = _tables(self, log_mel.device)
        power = (log_mel.exp() @ torch.linalg.pinv(bank)).clamp(min=0).T
        length = _fft_length(self)
        waveform = audio.functional.griffinlim(
            power, window, length, self.hop, self.window,
            power=2.0, n_iter=iterations, momentum=0.99, length=None, rand_init=False,
        )  # fmt: skip
        if self.kind == "kaldi":
            waveform = audio.functional.deemphasis(waveform, PREEMPHASIS)
            waveform = F.pad(waveform, (self.window // 2, (self.window + 1) // 2))
        return waveform


@lru_cache(maxsize=16)
def _tables(front_end: FrontEnd, device: torch.device) -> tuple[Tensor, Tensor]:
    """The window (W,) and the filter bank (K, M)."""
    kaldi = front_end.kind == "kaldi"
    window = torch.hann_window(front_end.window, periodic=not kaldi)
    bank = _kaldi_bank(front_end) if kaldi else _mel_bank(front_end, _fft_length(front_end))
    return window.to(device), bank.to(device)


@lru_cache(maxsize=16)
def _fft_length(front_end: FrontEnd) -> int:
    """The power of two that holds a frame; for ``mel``, one that gives every band a frequency."""
    length = 1 << math.ceil(math.log2(front_end.window))
    if front_end.kind == "kaldi":
        return length
    while bool((_mel_bank(front_end, length).sum(0) == 0).any()):
        length *= 2
        if length > _LONGEST_FFT:
            raise BadConfig(
                "so many mel bands are too narrow to measure",
                found=f"n_mels {front_end.bands} at {front_end.rate} Hz",
                hint="Take fewer.",
            )
    return length


def _mel_bank(front_end: FrontEnd, length: int) -> Tensor:
    audio = torchaudio_module()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At least one mel filterbank has all zero values")
        return audio.functional.melscale_fbanks(
            length // 2 + 1, front_end.low, front_end.high, front_end.bands, front_end.rate
        )


def _kaldi_bank(front_end: FrontEnd) -> Tensor:
    bank, _ = torchaudio_module().compliance.kaldi.get_mel_banks(
        front_end.bands, _fft_length(front_end), float(front_end.rate),
        front_end.low, front_end.high, 100.0, -500.0, 1.0,
    )  # fmt: skip
    return F.pad(bank, (0, 1)).T.contiguous()  # Kaldi's triangles end below the last frequency


def refuse_unknown(log_mel: Tensor, bands: int) -> None:
    """Raise ``BadInput`` unless this is a complete spectrogram (..., T, M) of two frames up."""
    if log_mel.ndim < 2 or log_mel.shape[-1] != bands or log_mel.shape[-2] < 2:
        raise BadInput(
            "not a spectrogram",
            found=f"shape {tuple(log_mel.shape)}",
            expected=f"(two or more frames, {bands} bands)",
        )
    if not bool(log_mel.isfinite().all()):
        raise BadInput(
            "a spectrogram with missing values has no sound",
            found=f"{int((~log_mel.isfinite()).sum())} of {log_mel.numel()} values not finite",
            hint="Use the reconstruction, not the masked version.",
        )
