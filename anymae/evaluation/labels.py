"""Labelled data sets: labels found, understood as classes or numbers, and checked.

Shapes: n samples, t target numbers a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from anymae import draws
from anymae.adapter import Adapter
from anymae.data.sources import Source, Subset, open_source
from anymae.errors import BadInput, unknown_name

Kind = Literal["classification", "regression"]
KINDS = ("classification", "regression")
FEW = 20
"""Whole floats with at most this many distinct values are classes."""


@dataclass(frozen=True)
class Labelled:
    """Samples and their labels: ``values`` (n,) or (n, t); ``names`` of integer classes, if any;
    ``role`` is what error messages call it. Where labels belong to tokens, ``places`` (n,) are the
    labelled ones among the tokens of all samples (see ``tokenwise``)."""

    source: Source
    values: np.ndarray
    names: tuple[str, ...] | None
    role: str
    places: np.ndarray | None = None

    def where(self, index: int) -> str:
        """What messages call the owner of label ``index``."""
        if self.places is None:
            return f"{self.role}, {self.source.where(index)}"
        return f"{self.role}, token {self.places[index]}"

    @property
    def own(self) -> np.ndarray:
        """(n,) labels as the user wrote them."""
        return self.values if self.names is None else np.asarray(self.names)[self.values]

    def named(self, names: Sequence[str] | None) -> Labelled:
        """Integers without names become positions in the ``names`` of another data set, if there
        are any and all fit."""
        whole = self.values.dtype.kind == "i" and self.values.ndim == 1
        if self.names is not None or names is None or not whole:
            return self
        fit = self.values.min() >= 0 and self.values.max() < len(names)
        return replace(self, names=tuple(names)) if fit else self

    def subset(self, indices: np.ndarray, role: str) -> Labelled:
        """Some of the samples."""
        return Labelled(Subset(self.source, indices), self.values[indices], self.names, role)


def labelled(dataset: Any, adapter: Adapter, labels: Any = None, role: str = "train") -> Labelled:
    """Open a data set that must have labels. Raises ``BadInput`` if there are none, if some are
    missing (NaN) or if they are neither classes nor numbers."""
    source = open_source(dataset, adapter, labels)
    values = source.labels
    if values is None:
        raise BadInput(
            "the data set has no labels",
            where=role,
            hint="Pass (samples, labels), a folder with one sub-folder a class, a torch data set "
            "of (sample, label) pairs, or labels=...",
        )
    if values.dtype.kind not in "if" or values.ndim > 2:
        raise BadInput(
            "labels must be one class or one vector of numbers a sample",
            where=role,
            found=f"dtype {values.dtype}, shape {values.shape}",
        )
    missing = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
    if len(missing):
        raise BadInput(
            "labels are missing or not finite",
            where=f"{role}, {source.where(int(missing[0]))}",
            found=f"{len(missing)} of {len(values)}",
            hint="Leave those samples out.",
        )
    return Labelled(source, values, None if source.classes is None else tuple(source.classes), role)


def kind_of(data: Labelled, asked: str | None) -> Kind:
    """What labels call for: names, integers and few whole floats are classes, other floats are
    numbers. ``asked`` overrides. Raises ``BadInput`` for a matrix of integers, ``BadConfig``."""
    if asked is not None and asked not in KINDS:
        raise unknown_name("task", asked, KINDS)
    values = data.values
    if asked == "regression":
        return "regression"
    if values.ndim == 2:
        if values.dtype.kind == "f" and asked is None:
            return "regression"
        raise BadInput(
            "several classes a sample are not supported",
            where=data.role,
            found=f"labels of shape {values.shape}",
            expected="one class a sample, or task='regression'",
        )
    few = values.dtype.kind == "i" or (
        bool((values == np.round(values)).all()) and len(np.unique(values)) <= FEW
    )
    return "classification" if asked == "classification" or few else "regression"


def classes_of(data: Labelled) -> np.ndarray:
    """(c,) the distinct labels, sorted, as the user wrote them. Raises ``BadInput`` for fewer than
    two, or for one class a sample."""
    classes = np.unique(data.own)
    if len(classes) < 2:
        raise BadInput("all labels are the same", where=data.role, found=classes[0])
    if len(classes) == len(data.values) > 2:
        raise BadInput(
            "every sample has a class of its own",
            where=data.role,
            found=f"{len(classes)} classes",
            hint="If labels are quantities, pass task='regression'.",
        )
    return classes


def codes_of(data: Labelled, classes: np.ndarray) -> np.ndarray:
    """(n,) int64 positions of the labels in sorted ``classes``. Raises ``BadInput`` naming labels
    that are not among them."""
    own = data.own
    if (own.dtype.kind == "U") != (classes.dtype.kind == "U"):
        raise BadInput(
            "labels are of another kind than those of the training data",
            where=data.role,
            found=f"{own[0]!r}",
            expected=f"labels such as {classes[0]!r}",
        )
    unseen = np.setdiff1d(own, classes)
    if len(unseen):
        first = int(np.flatnonzero(np.isin(own, unseen))[0])
        raise BadInput(
            "labels that the training data does not have",
            where=data.where(first),
            found=_listed(unseen),
            expected=f"one of {_listed(classes)}",
        )
    return np.searchsorted(classes, own).astype(np.int64)


def numbers_of(data: Labelled, width: int | None = None) -> np.ndarray:
    """(n, t) float32 targets. Raises ``BadInput`` for names, or if t is not ``width``."""
    if data.names is not None:
        raise BadInput(
            "regression needs numbers as labels", where=data.role, found=_listed(data.names)
        )
    values = data.values.reshape(len(data.values), -1).astype(np.float32)
    if width is not None and values.shape[1] != width:
        raise BadInput(
            "another number of targets a sample than in the training data",
            where=data.role,
            found=values.shape[1],
            expected=width,
        )
    return values


def hold_out(count: int, codes: np.ndarray | None, seed: int, fraction: float = 0.2) -> np.ndarray:
    """(count,) bool: the samples held out, a ``fraction`` of each class where ``codes`` (count,)
    are given. At least one sample of each class, or in all, stays; one is held out where two or
    more can be. A function of ``seed``."""
    held = np.zeros(count, dtype=bool)
    strata = [np.arange(count)] if codes is None else [
        np.flatnonzero(codes == code) for code in np.unique(codes)
    ]  # fmt: skip
    for which, members in enumerate(strata):
        order = torch.randperm(len(members), generator=draws.generator(seed, "hold-out", which))
        wanted = max(1, round(fraction * len(members)))
        held[members[order[: min(wanted, len(members) - 1)].numpy()]] = True
    return held


def _listed(values: Sequence[Any] | np.ndarray) -> str:
    shown = ", ".join(str(value) for value in values[:8])
    return shown if len(values) <= 8 else f"{shown} and {len(values) - 8} more"
