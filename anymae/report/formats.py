"""Formats: numbers as people read them, with sensible digits and true minus signs."""

from __future__ import annotations

import math

NONE = "\N{EN DASH}"
_THIN = "\N{NARROW NO-BREAK SPACE}"
_SUPERSCRIPT = str.maketrans("-0123456789", "\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹")
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | None, digits: int = 3) -> str:
    """``digits`` significant ones: 0.425, 65,000, 7.5 x 10^-5 in superscript; a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 < exponent < 6:
        decimals = digits - 1 - exponent
        return _signed(f"{round(value, decimals):,.{max(0, decimals)}f}")
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}".rstrip("0").rstrip(".")
    power = str(exponent).translate(_SUPERSCRIPT)
    return _signed(f"{mantissa}{_THIN}\N{MULTIPLICATION SIGN}{_THIN}10{power}")


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return NONE if value is None else _signed(f"{round(value):,}")


def percent(fraction: float | None) -> str:
    """A fraction in per cent: whole from ten up, one decimal below."""
    if fraction is None or not math.isfinite(fraction):
        return NONE
    decimals = 1 if 0 < abs(fraction) < 0.0995 else 0
    return _signed(f"{100 * fraction:,.{decimals}f}{_THIN}%")


def large(value: float | None) -> str:
    """A count with a unit prefix: 465.9 k, 86.6 M."""
    if value is None:
        return NONE
    for size, letter in _LARGE:
        if abs(value) >= size:
            return f"{number(value / size)}{_THIN}{letter}"
    return number(value)


def tick(value: float) -> str:
    """A number beside an axis: as short as it can be."""
    if abs(value) >= 10_000:
        scaled = large(value)
        figure, _, letter = scaled.partition(_THIN)
        return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure}{_THIN}{letter}"
    return _signed(f"{value:,.4g}") if value == 0 or abs(value) >= 1e-4 else number(value, 2)


def duration(seconds: float | None) -> str:
    """The two largest units of a time: 26 s, 4 min 10 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.1f}{_THIN}s"
    whole = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, whole = divmod(whole, size)
        if amount or parts:
            parts.append((amount, unit))
    return " ".join(f"{amount}{_THIN}{unit}" for amount, unit in parts[:2] if amount)


def interval(bounds: tuple[float, float] | None) -> str:
    """Two bounds to three decimals."""
    return NONE if bounds is None else " to ".join(score(bound) for bound in bounds)


def score(value: float | None) -> str:
    """A figure of merit to three decimals."""
    return NONE if value is None or not math.isfinite(value) else _signed(f"{value:.3f}")


def _signed(text: str) -> str:
    """A true minus sign, and none before zero."""
    if not text.strip("-0.,% " + _THIN):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text
