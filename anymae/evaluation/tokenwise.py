"""Labels of single tokens, such as the nodes of a graph: found, checked, and their features.

Shapes: N labelled tokens of all samples together, d features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymae.adapter import Adapter
from anymae.data.batches import read_batch
from anymae.data.sources import Source, open_source
from anymae.errors import BadInput
from anymae.evaluation.labels import Labelled
from anymae.evaluation.raw import COMPONENTS, principal
from anymae.evaluation.views import Reading, View, standardised
from anymae.model import Model

TASK = "node-classification"


def is_tokenwise(source: Source, adapter: Adapter, task: str | None) -> bool:
    """Whether labels belong to tokens: if the task says so, or a graph's labels are arrays."""
    if task is not None:
        return task == TASK
    if "edges" not in adapter.provides or source.labels is None:
        return False
    return source.labels.ndim > 1 or source.labels.dtype.kind == "O"


def token_labelled(dataset: Any, adapter: Adapter, labels: Any, role: str) -> Labelled:
    """Open a data set whose labels are one vector a sample, one class a token; negative numbers
    and NaN mean that a token has none. Raises ``BadInput``."""
    source = open_source(dataset, adapter, labels)
    if source.labels is None:
        raise BadInput("the data set has no labels", where=role, expected="one array a sample")
    lengths = [len(read_batch(source, adapter, [i]).coords) for i in range(len(source))]
    for i, (one, length) in enumerate(zip(source.labels, lengths, strict=True)):
        if np.shape(one) != (length,):
            raise BadInput(
                "labels of tokens must be one a token",
                where=f"{role}, {source.where(i)}",
                found=f"shape {np.shape(one)}",
                expected=f"({length},)",
            )
    flat = np.concatenate([np.asarray(one, dtype=np.float64) for one in source.labels])
    places = np.flatnonzero(np.isfinite(flat) & (flat >= 0))
    if not len(places):
        raise BadInput("no token has a label", where=role, found=f"{len(flat)} tokens")
    names = None if source.classes is None else tuple(source.classes)
    return Labelled(source, flat[places].astype(np.int64), names, role, places)


def token_subset(data: Labelled, chosen: np.ndarray, role: str) -> Labelled:
    """Some of the labelled tokens."""
    assert data.places is not None, "made by token_labelled"
    return replace(data, values=data.values[chosen], places=data.places[chosen], role=role)


def token_view(reading: Reading, model: Model, train: Labelled, test: Labelled) -> View:
    """A model's features of the labelled tokens, standardised."""
    of_train = reading.of_tokens(model, train.source)
    of_test = of_train if test.source is train.source else reading.of_tokens(model, test.source)
    return standardised(of_train[train.places], of_test[test.places])


def raw_token_view(adapter: Adapter, train: Labelled, test: Labelled) -> tuple[View, str]:
    """Values of the labelled tokens, or their principal components, and what they are in words."""
    rows = [_values(adapter, data) for data in (train, test)]
    width = rows[0].shape[1]
    if width <= COMPONENTS:
        return standardised(*rows), f"token values ({width} numbers)"
    components = principal(_values(adapter, replace(train, places=None)))
    rows = [components.of(part) for part in rows]
    factor = rows[0].square().mean().sqrt().clamp(min=1e-30)
    what = f"token values ({width} numbers, {rows[0].shape[1]} principal components)"
    return View(rows[0] / factor, rows[1] / factor), what


def _values(adapter: Adapter, data: Labelled) -> Tensor:
    parts = [read_batch(data.source, adapter, [i]).values for i in range(len(data.source))]
    values = torch.cat(parts).float()
    return values if data.places is None else values[torch.from_numpy(data.places)]
