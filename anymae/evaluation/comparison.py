"""Comparison: one protocol on pretrained, raw and randomly initialised features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from anymae.adapter import Adapter
from anymae.data.sources import Source, Subset, open_source
from anymae.errors import BadConfig
from anymae.evaluation.judging import Judge, Judged, Truth
from anymae.evaluation.labels import (
    Labelled,
    classes_of,
    codes_of,
    hold_out,
    kind_of,
    labelled,
    numbers_of,
)
from anymae.evaluation.metrics import metric_of
from anymae.evaluation.protocols import Protocol
from anymae.evaluation.protocols.protocol import OwnProtocol, protocol_of, refuse_task
from anymae.evaluation.raw import raw_view
from anymae.evaluation.scores import Scores
from anymae.evaluation.tokenwise import (
    is_tokenwise,
    raw_token_view,
    token_labelled,
    token_subset,
    token_view,
)
from anymae.evaluation.views import Reading, View, random_twin
from anymae.model import Model


def evaluate(
    model: Model,
    train: Any,
    test: Any = None,
    labels: Any = None,
    protocol: str | Mapping[str, Any] | Protocol = "linear",
    *,
    task: str | None = None,
    pool: str = "mean",
    layer: int = -1,
    batch_size: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    precision: str = "auto",
) -> Scores:
    """How much frozen features know about labels, beside raw features and random weights.

    Args:
        model: A model; its features are standardised on the training samples.
        train: A data set, with labels unless ``labels`` gives them.
        test: Another; None: a fifth of ``train``, of each class where there are classes.
        labels: Labels of ``train``, or the name of the field that holds them; with a ``test`` set
            also a tuple (labels of train, labels of test).
        protocol: ``"linear"``, ``"knn"``, ``"few-shot"``, ``"svm"``; or a mapping with a kind and
            the protocol's own fields, e.g. ``{"kind": "knn", "k": 5}``.
        task: ``"classification"`` (accuracy), ``"regression"`` (R2) or ``"node-classification"``
            (labels are one array a sample, one class a token, negative for none); None: names,
            integers and whole floats with at most 20 values are classes, other floats are
            numbers, and arrays of a graph's labels belong to its nodes.
        pool: ``"mean"``, ``"max"``, ``"std"`` of the tokens, ``"cls"``, or several as in
            ``"mean+max"``, see ``Model.embed``.
        layer: The block that features are taken from; -1 is the last, with the final norm.
        batch_size: Samples encoded at once; None: by their tokens.
        seeds: Randomly initialised encoders.
        seed: Of splits, resamples and random weights: the same seed, the same scores.
        precision: Of the encoders' matrix products.

    Intervals are over 1000 resamples of the test samples (few samples, all of them right, give
    an interval of no width), and over repetitions where there are any.
    Raises ``BadInput`` for data and labels, ``BadConfig`` for names and options.
    """
    chosen = protocol_of(protocol)
    if seeds < 1:
        raise BadConfig("at least one random encoder is needed", where="seeds", found=seeds)
    reading = Reading(pool, layer, batch_size, precision)
    if isinstance(chosen, OwnProtocol):
        parts = _parts(model, train, test, seed)
        return chosen.scores(model, *parts, reading=reading, seeds=seeds, seed=seed)
    first, second = _both(model, train, test, labels, task, seed)
    truth = _truth(first, second, task)
    refuse_task(chosen, truth.task)
    raw, what = _raw(model.adapter, first, second)
    twins = (random_twin(model, seed + 1 + i) for i in range(seeds))
    judge = Judge(chosen, truth, metric_of(truth.task), seed)
    return _scores(
        judge,
        judge.judged([_view(reading, model, first, second)]),
        judge.judged([raw]),
        judge.judged([_view(reading, twin, first, second) for twin in twins]),
        what,
    )


def _parts(model: Model, train: Any, test: Any, seed: int) -> tuple[Source, Source]:
    """Training and test samples; a fifth is held out if only one set is given."""
    source = open_source(train, model.adapter)
    if test is not None:
        return source, open_source(test, model.adapter)
    held = hold_out(len(source), None, seed)
    return Subset(source, np.flatnonzero(~held)), Subset(source, np.flatnonzero(held))


def _both(
    model: Model, train: Any, test: Any, labels: Any, task: str | None, seed: int
) -> tuple[Labelled, Labelled]:
    """The two labelled sets, split from one if only one is given."""
    pair = test is not None and isinstance(labels, tuple) and len(labels) == 2
    of_train, of_test = labels if pair else (labels, labels if isinstance(labels, str) else None)
    tokenwise = is_tokenwise(open_source(train, model.adapter, of_train), model.adapter, task)
    find = token_labelled if tokenwise else labelled
    first = find(train, model.adapter, of_train, "train")
    if test is not None:
        second = find(test, model.adapter, of_test, "test")
        return first.named(second.names), second.named(first.names)
    classes = tokenwise or kind_of(first, task) == "classification"
    codes = codes_of(first, classes_of(first)) if classes else None
    held = hold_out(len(first.values), codes, seed)
    part = token_subset if tokenwise else Labelled.subset
    return (
        part(first, np.flatnonzero(~held), "train"),
        part(first, np.flatnonzero(held), "test"),
    )


def _view(reading: Reading, model: Model, train: Labelled, test: Labelled) -> View:
    if train.places is not None:
        return token_view(reading, model, train, test)
    return reading.view(model, train.source, test.source)


def _raw(adapter: Adapter, train: Labelled, test: Labelled) -> tuple[View, str]:
    if train.places is not None:
        return raw_token_view(adapter, train, test)
    return raw_view(adapter, train.source, test.source)


def _truth(train: Labelled, test: Labelled, asked: str | None) -> Truth:
    task = "classification" if train.places is not None else kind_of(train, asked)
    if task == "regression":
        y = torch.from_numpy(numbers_of(train))
        y_test = torch.from_numpy(numbers_of(test, y.shape[1]))
        return Truth(task, y, y_test, 0)
    classes = classes_of(train)
    y, y_test = (torch.from_numpy(codes_of(data, classes)) for data in (train, test))
    return Truth(task, y, y_test, len(classes))


def _scores(judge: Judge, own: Judged, raw: Judged, random: Judged, what: str) -> Scores:
    metric = judge.metric
    return Scores(
        value=own.score.value,
        metric=f"{metric.name} ({own.setting})" if own.setting else metric.name,
        interval=own.score.interval,
        raw=raw.score,
        random_init=random.score,
        over_raw=own.over(raw, metric),
        over_random_init=own.over(random, metric),
        protocol=judge.protocol.kind,
        task=judge.truth.task,
        train_samples=len(judge.truth.y),
        test_samples=len(judge.truth.y_test),
        how=own.score.how,
        raw_features=what,
        details=own.score.details,
    )
