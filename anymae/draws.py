"""Counter-based randomness: every random number is a function of what it is for.

A key (an int64) names one sample of one epoch of one seed. ``uniform`` and ``bits`` turn keys and
counters into numbers by integer mixing alone, vectorised, with the same result on every device,
whatever the batch, the worker or the rank. No global generator is ever read or advanced.

Shapes: B samples, T tokens.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _mix(value: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014) on a Python integer."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * _MIX_1) & _MASK
    value = ((value ^ (value >> 27)) * _MIX_2) & _MASK
    return value ^ (value >> 31)


def key(*parts: int | str) -> int:
    """One signed 64-bit key from integers and words, e.g. ``key(seed, epoch, index, "crop")``."""
    state = 0
    for part in parts:
        number = zlib.crc32(part.encode()) if isinstance(part, str) else int(part)
        state = _mix(state + _GOLDEN + _mix(number + _GOLDEN))
    return _signed(state)


def generator(*parts: int | str) -> torch.Generator:
    """A torch generator of its own, seeded by ``key(*parts)``."""
    made = torch.Generator()
    made.manual_seed(key(*parts) & (_MASK >> 1))
    return made


def _shift(x: Tensor, by: int) -> Tensor:
    """Logical right shift: torch shifts int64 arithmetically, so the sign bits are cleared."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def bits(keys: Tensor, counters: Tensor, purpose: str) -> Tensor:
    """64 mixed bits for each (key, counter); both int64, broadcast against each other."""
    x = keys + _signed(key(purpose))
    x = x + counters * _signed(_GOLDEN)
    x = (x ^ _shift(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift(x, 27)) * _signed(_MIX_2)
    x = x ^ _shift(x, 31)
    # A second round separates neighbouring keys, which differ from neighbouring counters by little.
    x = (x ^ _shift(x, 30)) * _signed(_MIX_1)
    return x ^ _shift(x, 27)


def uniform(keys: Tensor, counters: Tensor, purpose: str) -> Tensor:
    """Uniform float32 numbers in [0, 1) with 24 bits, one for each (key, counter)."""
    return _shift(bits(keys, counters, purpose), 40).to(torch.float32) * 2.0**-24


def normal(keys: Tensor, counters: Tensor, purpose: str) -> Tensor:
    """Standard normal float32 numbers (Box-Muller), one for each (key, counter)."""
    radius = torch.sqrt(-2.0 * torch.log1p(-uniform(keys, counters, f"{purpose}/radius")))
    return radius * torch.cos(2 * torch.pi * uniform(keys, counters, f"{purpose}/angle"))
