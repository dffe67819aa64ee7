"""Promises about bad samples and files: each is a ``BadInput``, never a crash or a number."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from anymae.checks.case import BrokenPromise, Case, NotAsked
from anymae.errors import BadInput, MissingExtra
from anymae.tokens import OBSERVED, Tokens

NONSENSE = b"\x00\xffnot what it says\n" * 7 + b"!!"


def check_refuses_bad_samples(case: Case) -> None:
    """What is no sample raises ``BadInput``: None, another type, nothing at all, other axes.

    A number that is not finite does too, unless the modality knows missing values: then the token
    is left out, or the number is not ``observed``.
    """
    for what, sample in no_samples(case.adapter.example(0)):
        outcome = _outcome(case, what, sample)
        if outcome is not None:
            raise BrokenPromise(
                f"tokenize takes {what} for a sample",
                found=f"{len(outcome)} tokens",
                hint="Raise anymae.BadInput saying what was found and what was expected.",
            )
    whole = case.tokens[0]
    for what, sample in with_holes(case.adapter.example(0)):
        outcome = _outcome(case, what, sample)
        if outcome is not None and not _says_what_is_missing(outcome, whole):
            raise BrokenPromise(
                f"tokenize takes {what} and says nothing of it",
                found=_what_became_of_it(outcome),
                hint="Raise anymae.BadInput, leave the token out, or say in "
                'side["observed"] which numbers are known; fill nothing with zeros.',
            )


def _outcome(case: Case, what: str, sample: Any) -> Tokens | None:
    """The tokens of a bad sample; None if it is refused as it should be."""
    try:
        return case.fitted.tokenize(sample)
    except BadInput:
        return None
    except Exception as error:
        raise BrokenPromise(
            f"tokenize answers {what} with another error than BadInput",
            found=f"{type(error).__name__}: {error}",
            hint="Raise anymae.BadInput saying what was found and what was expected.",
        ) from error


def _says_what_is_missing(tokens: Tokens, whole: Tokens) -> bool:
    if not torch.isfinite(tokens.values).all():
        return False
    observed = tokens.side.get(OBSERVED)
    before = whole.side.get(OBSERVED)
    known = int(observed.sum()) if observed is not None else tokens.values.numel()
    known_before = int(before.sum()) if before is not None else whole.values.numel()
    return known < known_before


def _what_became_of_it(tokens: Tokens) -> str:
    odd = int((~torch.isfinite(tokens.values)).sum())
    return f"{odd} numbers not finite" if odd else "as many numbers as before, all observed"


def no_samples(sample: Any) -> Iterator[tuple[str, Any]]:
    """Things that are not a sample, made from one that is."""
    yield "None", None
    yield "an object of another type", object()
    if not isinstance(sample, str | bytes):
        yield "a word", "not a sample"
    if isinstance(sample, str | bytes | list):
        yield f"an empty {type(sample).__name__}", type(sample)()
    for path, array in largest_array(sample):
        empty, deep = array[:0], array[None, None, None, None]
        yield f"an array of shape {tuple(empty.shape)}", _replaced(sample, path, empty)
        yield f"an array of {deep.ndim} axes", _replaced(sample, path, deep)
        yield "an array without axes", _replaced(sample, path, array.reshape(-1)[0])


def with_holes(sample: Any) -> Iterator[tuple[str, Any]]:
    """A sample with one number that is not finite."""
    for path, array in largest_array(sample):
        if isinstance(array, torch.Tensor):
            array = array.numpy()
        if array.dtype.kind not in "iuf":
            return
        for what, number in (("NaN", np.nan), ("infinity", np.inf)):
            holed = array.astype(array.dtype if array.dtype.kind == "f" else np.float32)
            holed.reshape(-1)[holed.size // 2] = number
            yield f"a sample with {what} in it", _replaced(sample, path, holed)


Path = tuple[Any, ...]


def largest_array(sample: Any) -> list[tuple[Path, Any]]:
    """Where the largest array of a sample lies, and the array: one or none."""
    arrays = sorted(_arrays(sample, ()), key=lambda found: -np.size(found[1]))
    return arrays[:1]


def _arrays(sample: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(sample, np.ndarray | torch.Tensor) and sample.ndim:
        yield path, sample
    elif isinstance(sample, Mapping):
        for key, value in sample.items():
            yield from _arrays(value, (*path, key))
    elif type(sample) in (tuple, list):
        for i, value in enumerate(sample):
            yield from _arrays(value, (*path, i))


def _replaced(sample: Any, path: Path, array: Any) -> Any:
    if not path:
        return array
    key, *rest = path
    inner = _replaced(sample[key], tuple(rest), array)
    if isinstance(sample, Mapping):
        return {**sample, key: inner}
    return type(sample)([*sample[:key], inner, *sample[key + 1 :]])


def check_refuses_bad_files(case: Case) -> None:
    """An empty file and one of nonsense are a ``BadInput``, whatever its ending."""
    if not case.adapter.extensions:
        raise NotAsked("it reads no files")
    asked = False
    for ending in case.adapter.extensions:
        for what, content in (("an empty file", b""), ("a file of nonsense", NONSENSE)):
            try:
                case.fitted.read(io.BytesIO(content), f"broken{ending}")
            except BadInput:
                asked = True
                continue
            except MissingExtra:
                continue
            except Exception as error:
                raise BrokenPromise(
                    f"read answers {what} with another error than BadInput",
                    where=f"broken{ending}",
                    found=f"{type(error).__name__}: {error}",
                ) from error
            raise BrokenPromise(f"read takes {what} for a sample", where=f"broken{ending}")
    if not asked:
        raise NotAsked("the packages that read its files are not installed")
