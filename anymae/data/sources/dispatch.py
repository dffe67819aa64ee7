"""``open_source``: whatever a user passes as a data set, as a ``Source``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from anymae.adapter import Adapter
from anymae.data.sources.aligned import Aligned, streams_of
from anymae.data.sources.arrays import Arrays, Samples, kind_of
from anymae.data.sources.huggingface import HuggingFace, hugging_face_kind, refuse_splits
from anymae.data.sources.items import Items
from anymae.data.sources.pairs import split_pair
from anymae.data.sources.paths import Opener
from anymae.data.sources.source import Source
from anymae.data.sources.streams import read_stream
from anymae.errors import BadInput
from anymae.joint import JointAdapter
from anymae.limits import LIMITS, Limits


def open_source(
    dataset: Any, adapter: Adapter, labels: Any = None, *, limits: Limits = LIMITS
) -> Source:
    """The samples of a data set by index, and its labels.

    ``dataset`` is a ``Source``, something the adapter knows (``Adapter.native``),
    ``(samples, labels)`` (see ``split_pair``), an array or tensor, a path, a pattern, a list of
    paths, a list of samples, a torch or Hugging Face data set, or an iterable. ``labels``, one a
    sample, replace those of the data set; a string names the column that holds them.

    Raises ``BadInput`` saying what was found and what can be passed.
    """
    label_key = labels if isinstance(labels, str) else None
    source = _open(dataset, adapter, label_key, limits)
    if len(source) == 0:
        named = isinstance(dataset, (str, os.PathLike))
        raise BadInput(
            "the data set is empty",
            where=dataset if named else "dataset",
            found="no samples" if named else kind_of(dataset),
        )
    return source if labels is None or label_key else source.with_labels(labels)


def _open(dataset: Any, adapter: Adapter, label_key: str | None, limits: Limits) -> Source:
    if isinstance(dataset, Source):
        return dataset
    if isinstance(adapter, JointAdapter):
        joint = _joint(dataset, adapter, label_key, limits)
        if joint is not None:
            return joint
    native = adapter.native(dataset)
    if native is not None:
        found = native if label_key is None else adapter.native_labelled(dataset, label_key)
        if isinstance(found, tuple) and len(found) == 2:
            return Samples(found[0]).with_labels(found[1])
        return Samples(found)
    pair = split_pair(dataset)
    if pair is not None:
        return _open(pair[0], adapter, label_key, limits).with_labels(pair[1])
    return _open_general(dataset, adapter, label_key, limits)


def _joint(
    dataset: Any, adapter: JointAdapter, label_key: str | None, limits: Limits
) -> Source | None:
    """Data sets of several streams, or (streams, labels); None for anything else."""
    parts = {stream.name: stream.adapter for stream in adapter.parts}
    nested = isinstance(dataset, tuple) and len(dataset) == 2
    inner = streams_of(dataset[0], list(parts)) if nested else None
    if inner is not None and not isinstance(dataset[0], np.ndarray):
        return _open(dataset[0], adapter, label_key, limits).with_labels(dataset[1])
    streams = streams_of(dataset, list(parts))
    if streams is None:
        return None
    return Aligned({n: _open(d, parts[n], label_key, limits) for n, d in streams.items()})


def _open_general(dataset: Any, adapter: Adapter, label_key: str | None, limits: Limits) -> Source:
    opener = Opener(adapter, limits, label_key)
    if isinstance(dataset, (str, os.PathLike)):
        return opener.path(dataset)
    if isinstance(dataset, np.ndarray) and dataset.ndim == 1 and dataset.dtype.kind == "U":
        return opener.list(dataset.tolist())
    if isinstance(dataset, (np.ndarray, torch.Tensor)):
        return Arrays(dataset)
    if isinstance(dataset, (list, tuple)):
        return _of_list(dataset, opener)
    theirs = hugging_face_kind(dataset)
    if theirs and isinstance(dataset, Mapping):
        refuse_splits(dataset)
    if theirs == "Dataset" and dataset.format["type"] != "custom":
        return HuggingFace(dataset, adapter, label_key)
    if theirs == "IterableDataset" or _is_stream(dataset):
        return Items(read_stream(dataset, limits), adapter, label_key)
    if _is_indexed(dataset):
        return Items(dataset, adapter, label_key)
    raise _unknown(dataset, adapter)


def _of_list(items: Sequence[Any], opener: Opener) -> Source:
    paths = [isinstance(item, (str, os.PathLike)) for item in items]
    if items and all(paths):
        return opener.list(items)
    if any(paths):
        raise BadInput(
            "a list holds either paths or samples",
            where=f"sample {paths.index(not paths[0])}",
            found="both",
        )
    return Items(items, opener.adapter, opener.label_key)


def _is_stream(dataset: Any) -> bool:
    if isinstance(dataset, (Mapping, set, frozenset, bytes, bytearray, DataLoader)):
        return False
    if isinstance(dataset, IterableDataset):
        return True
    return isinstance(dataset, Iterable) and not hasattr(dataset, "__getitem__")


def _is_indexed(dataset: Any) -> bool:
    # Tables have [] and len, but by column; the modality that knows them took them as native.
    table = hasattr(dataset, "__arrow_c_stream__") or hasattr(dataset, "__dataframe__")
    plain = isinstance(dataset, (Mapping, bytes, bytearray))
    indexed = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    return indexed and not table and not plain


def _unknown(dataset: Any, adapter: Adapter) -> BadInput:
    hint = None
    if isinstance(dataset, DataLoader):
        hint = "Pass its .dataset: batches are made here."
    elif isinstance(dataset, Mapping):
        hint = "Pass (samples, labels) instead of a dictionary."
    return BadInput(
        f"not a data set for the {adapter.name} adapter",
        where="dataset",
        found=kind_of(dataset),
        expected="an array, a list, a torch or Hugging Face data set, a folder, a pattern, or what "
        "the adapter names as its own",
        hint=hint,
    )
