"""Imputation: some tokens of test samples are hidden at random, and said by the model.

Shapes: m test samples, P places, F numbers a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from anymae import draws, precision
from anymae.data.batches import read_batch
from anymae.data.sources import Source
from anymae.errors import BadConfig
from anymae.evaluation.imputation.answering import answers, refuse_other_targets
from anymae.evaluation.imputation.errors import Errors, errors
from anymae.evaluation.imputation.grid import Grid, grid_of, place_index, places_of
from anymae.evaluation.imputation.simple import chained, mean_or_mode, neighbours
from anymae.evaluation.intervals import RESAMPLES, interval, resampled, t_half_width
from anymae.evaluation.protocols.protocol import OwnProtocol
from anymae.evaluation.scores import Score, Scores
from anymae.evaluation.views import Reading, random_twin
from anymae.model import Model
from anymae.tokens import Packed

BATCH = 256
METRIC = "relative error"


class Imputation(OwnProtocol, kind="imputation"):
    """A fraction ``missing`` of the tokens of test samples is hidden, each independently of all
    values (but never a whole sample), and predicted from the rest in one pass.

    The score is the mean over places (columns) of the error relative to that of the place's mean or
    most frequent category: root mean squared errors of numbers, error rates of categories. 1 is
    trivial, 0 perfect. Raw is the mean of the ``neighbours`` nearest training samples; the details
    have the score of ``rounds`` of chained ridge regressions, too. These learn from at most
    ``train_rows`` evenly spaced samples; as many as ``test_rows`` are tested.
    """

    missing: float = Field(default=0.3, gt=0, lt=1)
    neighbours: int = Field(default=10, gt=0)
    rounds: int = Field(default=5, gt=0)
    train_rows: int = Field(default=10_000, gt=1)
    test_rows: int = Field(default=5_000, gt=1)

    def scores(
        self, model: Model, train: Source, test: Source, *, reading: Reading, seeds: int, seed: int
    ) -> Scores:
        """See the class. Raises ``BadConfig`` for models that do not predict content."""
        refuse_other_targets(model)
        known = _batches(model, train, self.train_rows, seed)
        asked = _batches(model, test, self.test_rows, seed)
        places = places_of([*known, *asked])
        examples, truth = grid_of(known, places), grid_of(asked, places)
        hidden = [self._hidden(packed, places) for packed in asked]
        exam = _Exam(examples, truth, _on_grid(asked, hidden, places), seed)

        def said(of: Model) -> Errors:
            return exam.marked(_said(of, asked, hidden, places, truth, reading))

        regressed = exam.marked(chained(examples, exam.left, self.rounds))
        own = exam.judged([said(model)])
        raw = exam.judged([exam.marked(neighbours(examples, exam.left, self.neighbours))])
        random = exam.judged([said(random_twin(model, seed + 1 + i)) for i in range(seeds)])
        return Scores(
            value=own.score.value,
            metric=METRIC,
            interval=own.score.interval,
            raw=raw.score,
            random_init=random.score,
            over_raw=own.over(raw),
            over_random_init=own.over(random),
            protocol=self.kind,
            task=f"{self.missing:.0%} missing",
            train_samples=len(examples.values),
            test_samples=len(truth.values),
            how=own.score.how,
            raw_features=f"the {self.neighbours} nearest training samples; 1 is mean and mode",
            details={
                **own.score.details,
                "relative error of chained regressions": exam.judged([regressed]).score.value,
            },
            better="lower",
        )

    def _hidden(self, packed: Packed, places: Tensor) -> Tensor:
        """(T,) which tokens are hidden, by the keys of samples and the places of tokens."""
        owner = packed.segments.ids(packed.device)
        noise = draws.uniform(packed.drawing_keys[owner], place_index(packed, places), "impute")
        highest = torch.zeros(len(packed)).scatter_reduce(0, owner, noise, "amax")
        return (noise < self.missing) & (noise < highest[owner])


class _Judged:
    """Imputations of one kind: their score, and its values on resamples (R,)."""

    def __init__(self, found: Sequence[Errors], seed: int) -> None:
        rows = len(found[0].own)

        def each(weights: Tensor) -> Tensor:
            return torch.stack([one.over_places(weights) for one in found])

        values = each(torch.ones(1, rows).double())[:, 0]
        self.boot = resampled(lambda weights: each(weights).mean(0), rows, seed)
        self.spread = t_half_width(values)
        value = float(values.mean())
        limits = interval(value, self.boot, self.spread, (0.0, float("inf")))
        how = f"{RESAMPLES} resamples of {rows} test samples"
        if len(found) > 1:
            how += f", {len(found)} random encoders"
        details = {
            "error rate of categories": found[0].mean_error(True),
            "root mean squared error of numbers": found[0].mean_error(False),
            "relative error by place": found[0].by_place(torch.ones(1, rows).double())[0].tolist(),
        }
        self.score = Score(value, limits, how, {k: v for k, v in details.items() if v == v})

    def over(self, other: _Judged) -> Score:
        """The difference to other imputations, on the same samples and resamples."""
        value = self.score.value - other.score.value
        spread = (self.spread**2 + other.spread**2) ** 0.5
        bounds = (float("-inf"), float("inf"))
        found = interval(value, self.boot - other.boot, spread, bounds)
        return Score(value, found, f"the same {other.score.how}")


class _Exam:
    """What is asked of every imputer: the training samples and the test samples with gaps."""

    def __init__(self, examples: Grid, truth: Grid, hidden: Tensor, seed: int) -> None:
        if not hidden.any():
            raise BadConfig("nothing is hidden: samples are too few or too small for this rate")
        self.examples, self.truth, self.hidden, self.seed = examples, truth, hidden, seed
        self.left = truth.without(hidden)
        self.trivial = mean_or_mode(examples, truth)

    def marked(self, said: Tensor) -> Errors:
        return errors(self.truth, said, self.trivial, self.hidden)

    def judged(self, found: Sequence[Errors]) -> _Judged:
        return _Judged(found, self.seed)


def _batches(model: Model, source: Source, rows: int, seed: int) -> list[Packed]:
    count = min(rows, len(source))
    index = [i * len(source) // count for i in range(count)]
    parts = (index[start : start + BATCH] for start in range(0, count, BATCH))
    return [read_batch(source, model.adapter, part, seed, "imputation") for part in parts]


def _on_grid(batches: Sequence[Packed], chosen: Sequence[Tensor], places: Tensor) -> Tensor:
    """(m, P) from (T,) of each batch."""
    grids = []
    for packed, mine in zip(batches, chosen, strict=True):
        grid = torch.zeros(len(packed), len(places), dtype=torch.bool)
        grid[packed.segments.ids("cpu")[mine], place_index(packed, places)[mine]] = True
        grids.append(grid)
    return torch.cat(grids)


def _said(
    model: Model,
    batches: Sequence[Packed],
    hidden: Sequence[Tensor],
    places: Tensor,
    truth: Grid,
    reading: Reading,
) -> Tensor:
    """(m, P, F) what the model says where tokens are hidden."""
    kind: Any = precision.resolve(reading.precision, next(model.parameters()).device)
    filled = torch.zeros_like(truth.values)
    start = 0
    for packed, gone in zip(batches, hidden, strict=True):
        if gone.any():
            row = packed.segments.ids("cpu")[gone] + start
            filled[row, place_index(packed, places)[gone]] = answers(model, packed, gone, kind)
        start += len(packed)
    return filled
