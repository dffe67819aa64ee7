"""Waveforms: what a sample may be, its channels, its rate.

Shapes: C channels, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymae.errors import BadInput, missing_extra

RATES = (100, 1_000_000)
"""Samples a second that a recording may have."""
LOUDEST = 1e9
"""Largest magnitude of a sample: its square, summed, is far from float32's end."""
_FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31}


def split(sample: Any, rate: int | None) -> tuple[Any, float]:
    """The waveform of a sample and its rate. A bare array has ``rate``. Raises ``BadInput``.

    A tuple is (waveform, rate), whatever follows (torchaudio's data sets add labels); a mapping
    has ``array`` and ``sampling_rate``, as decoded audio of Hugging Face data sets.
    """
    if isinstance(sample, Mapping) and {"array", "sampling_rate"} <= set(sample):
        return sample["array"], _checked_rate(sample["sampling_rate"])
    if isinstance(sample, tuple) and len(sample) >= 2:
        return sample[0], _checked_rate(sample[1])
    if rate is None:
        raise BadInput(
            "the rate of a waveform is not known",
            found=f"{type(sample).__name__} of shape {np.shape(sample)}",
            expected="(waveform, rate)",
            hint='Or give modality_options={"sample_rate": ...}: the rate of all arrays.',
        )
    return sample, rate


def _checked_rate(rate: Any) -> float:
    number = rate.item() if getattr(rate, "ndim", None) == 0 else rate
    real = isinstance(number, int | float) and not isinstance(number, bool)
    if not real or not RATES[0] <= number <= RATES[1]:
        raise BadInput(
            "not a sample rate",
            found=repr(rate)[:80],
            expected=f"{RATES[0]} to {RATES[1]:,} samples a second",
            hint="A tuple is (waveform, rate); with a label: ((waveform, rate), label).",
        )
    return float(number)


def as_waveform(waveform: Any) -> Tensor:
    """(C, N) float32 from (N,) or (C, N), array or tensor.

    Integers are scaled to [-1, 1): int8, int16 and int32 by their range, uint8 around 128 as in
    wav files. Raises ``BadInput`` for other types and ranks, empty and non-finite waveforms.
    """
    array = waveform.numpy(force=True) if isinstance(waveform, Tensor) else np.asarray(waveform)
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise BadInput(
            "not a waveform",
            found=f"shape {array.shape}",
            expected="(samples,) or (channels, samples), not empty",
        )
    array = np.atleast_2d(_scaled(array))
    if array.shape[0] > array.shape[1]:
        raise BadInput(
            "a waveform has its channels first",
            found=f"shape {array.shape}",
            expected="(channels, samples)",
            hint="Transpose it.",
        )
    peak = float(np.abs(array).max())
    if not peak <= LOUDEST:
        raise _not_finite(array, peak)
    usable = array.flags.writeable and array.flags.c_contiguous  # torch takes no others
    return torch.from_numpy(array if usable else array.copy())


def _scaled(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return array.astype(np.float32, copy=False)
    dtype = str(array.dtype.newbyteorder("="))
    if dtype == "uint8":
        return (array.astype(np.float32) - 128) / 128
    if dtype in _FULL_SCALE:
        return (array / np.float64(_FULL_SCALE[dtype])).astype(np.float32)
    raise BadInput(
        "the full scale of these numbers is not known",
        found=f"dtype {array.dtype}",
        expected="floats, int8, int16, int32 or uint8",
        hint="Convert to float32 in [-1, 1].",
    )


def _not_finite(array: np.ndarray, peak: float) -> BadInput:
    bad = np.argwhere(~(np.abs(array) <= LOUDEST))
    channel, place = bad[0]
    return BadInput(
        f"{array[channel, place]} in a waveform",
        where=f"channel {channel}, sample {place}",
        found=f"{len(bad)} of {array.size} values not finite or too large",
        expected=f"finite numbers up to {LOUDEST:g}",
    )


def resampled(waveform: Tensor, rate: float, wanted: float) -> Tensor:
    """(C, N) from ``rate`` to ``wanted`` samples a second, by windowed-sinc interpolation.

    Ratios of large whole numbers are replaced by the nearest with a denominator up to 1000, at
    most a few millionths away: exact ones would need filters of any size.
    """
    ratio = Fraction(wanted).limit_denominator() / Fraction(rate).limit_denominator()
    ratio = ratio.limit_denominator(1000) if ratio < 1000 else Fraction(round(ratio))
    if ratio == 1:
        return waveform
    return _resampler(ratio.denominator, ratio.numerator, waveform.device)(waveform)


@lru_cache(maxsize=64)
def _resampler(rate: int, wanted: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    return torchaudio_module().transforms.Resample(rate, wanted).to(device)


def torchaudio_module() -> Any:
    """torchaudio. Raises ``MissingExtra``."""
    try:
        import torchaudio.compliance.kaldi
        import torchaudio.transforms
    except (ImportError, OSError):  # OSError: a wheel built for another torch
        raise missing_extra("torchaudio", "audio", "turning sound into spectrograms") from None
    return torchaudio


def trimmed(waveform: Tensor, window: int, hop: int, decibels: float) -> Tensor:
    """(C, N) from the first to the last window whose power, over all channels, is at most so many
    decibels below that of the loudest: silence before and after falls away, pauses stay."""
    power = waveform.square().mean(0).unfold(0, window, hop).mean(1)
    loud = (power >= power.max() * 10 ** (-decibels / 10)).nonzero()[:, 0]
    return waveform[:, int(loud[0]) * hop : int(loud[-1]) * hop + window]


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number from U(low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def random_part(samples: int, length: int, generator: torch.Generator) -> slice:
    """``length`` consecutive ones of ``samples``, at a random place."""
    begin = int(torch.randint(samples - length + 1, (), generator=generator))
    return slice(begin, begin + length)
