"""Pairs: when a tuple of two is ``(samples, labels)`` and when it is two samples."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from anymae.data.sources.labels import scalar
from anymae.errors import BadInput


def split_pair(dataset: Any) -> tuple[Any, Any] | None:
    """(samples, labels) if ``dataset`` is such a pair, else None.

    It is if it is a tuple of two, the first can hold samples (an array of two or more axes, a
    sequence of other things than numbers, a path, a data set) and the second is

    - a vector or list of single numbers or names,
    - a list of vectors of integers, one for each sample of a list (labels of their tokens), or
    - a matrix (n, targets) of real numbers in numpy or torch, n as many as there are samples, that
      has not the shape of the first: two arrays of one shape are two samples.

    Raises ``BadInput`` if a vector of labels has another length than an array or list of samples:
    two samples go in a list, not in a tuple.
    """
    if not isinstance(dataset, tuple) or len(dataset) != 2:
        return None
    samples, labels = dataset
    if not _may_hold_samples(samples):
        return None
    if _is_vector(labels):
        _refuse_lengths(samples, labels)
        return samples, labels
    beside = _is_matrix_beside(samples, labels) or _are_vectors_beside(samples, labels)
    return (samples, labels) if beside else None


def _may_hold_samples(value: Any) -> bool:
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim >= 2 or (isinstance(value, np.ndarray) and value.dtype.kind == "U")
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and not isinstance(scalar(value[0]), numbers.Number)
    return value is not None and not isinstance(value, (numbers.Number, bytes))


def _is_vector(value: Any) -> bool:
    if isinstance(value, Sequence):
        if isinstance(value, (str, bytes)):
            return False
        return all(isinstance(scalar(v), (str, numbers.Number, type(None))) for v in value)
    return getattr(value, "ndim", None) == 1 and hasattr(value, "__len__")


def _are_vectors_beside(samples: Any, labels: Any) -> bool:
    if not isinstance(samples, list) or not isinstance(labels, list | tuple):
        return False
    return len(samples) == len(labels) and all(
        isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "biu" for one in labels
    )


def _is_matrix_beside(samples: Any, labels: Any) -> bool:
    if not isinstance(labels, (np.ndarray, torch.Tensor)) or labels.ndim != 2:
        return False
    real = (
        labels.dtype.kind in "biuf"
        if isinstance(labels, np.ndarray)
        else labels.is_floating_point()
    )
    as_many = hasattr(samples, "__len__") and len(samples) == len(labels)
    return real and as_many and getattr(samples, "shape", None) != labels.shape


def _refuse_lengths(samples: Any, labels: Any) -> None:
    counted = isinstance(samples, (np.ndarray, torch.Tensor, list, tuple))
    if counted and len(samples) != len(labels):
        raise BadInput(
            "labels and samples differ in number",
            found=f"{len(labels)} labels",
            expected=f"{len(samples)}, one a sample",
            hint="Two samples go in a list, not in a tuple.",
        )
