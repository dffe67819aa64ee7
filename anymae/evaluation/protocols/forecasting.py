"""The forecasting protocol: ridge regression from frozen features of a look-back to what follows.

Shapes: C channels, K features of a channel.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt

from anymae import precision as formats
from anymae.data.sources import Source
from anymae.evaluation.forecasting import ridge
from anymae.evaluation.forecasting.errors import Errors, Judged, errors_of, last_value
from anymae.evaluation.forecasting.examples import Examples, Scale, look_back_of, whole_series
from anymae.evaluation.forecasting.features import Features, TokenFeatures, raw_features
from anymae.evaluation.protocols.protocol import OwnProtocol
from anymae.evaluation.scores import Scores
from anymae.evaluation.views import Reading, random_twin
from anymae.model import Model

METRIC = "MSE"


class ForecastingProbe(OwnProtocol, kind="forecasting"):
    """The mean squared error of forecasts ``horizon`` steps ahead, lower is better, in units of
    each channel's standard deviation over the training series.

    Samples are long series, or the windows a model was trained on, which stand for the series they
    were cut from. Every window of ``look_back`` steps (None: the length trained on) and the horizon
    counts, the last included; those with missing values do not. For a test series whose first
    forecast is to start at its first step, pass it led by ``look_back`` steps of what came before.

    A channel's tokens, one after another, are turned to its horizon by one ridge regression for all
    channels, fitted on training windows ``stride`` steps apart. Of ``penalties`` (in units of the
    mean squared feature summed over rows) the best on the last fraction ``held`` is used. Raw
    features are the look-back itself.
    """

    tasks: ClassVar[frozenset[str]] = frozenset()

    horizon: PositiveInt = 96
    look_back: PositiveInt | None = None
    stride: PositiveInt = 1
    penalties: tuple[float, ...] = Field(
        default=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 0.3, 1.0, 3.0, 10.0, 30.0), min_length=1
    )
    held: float = Field(default=0.2, gt=0, lt=1)

    def scores(
        self, model: Model, train: Source, test: Source, *, reading: Reading, seeds: int, seed: int
    ) -> Scores:
        known, asked = self._examples(model, train, test)
        device = next(model.parameters()).device
        precision = formats.resolve(reading.precision, device)

        def judged(*features: Features) -> Judged:
            fits = [self._run(known, asked, one) for one in features]
            penalties = [penalty for _, penalty in fits]
            details = {"penalty": penalties[0] if len(penalties) == 1 else penalties}
            return Judged([found for found, _ in fits], self.horizon, seed, details)

        own = judged(TokenFeatures(model, reading.layer, precision))
        raw = judged(raw_features)
        twins = (random_twin(model, seed + 1 + i) for i in range(seeds))
        random = judged(*(TokenFeatures(twin, reading.layer, precision) for twin in twins))
        score = own.score()
        last = Judged([errors_of(asked, last_value)], self.horizon, seed).score()
        return Scores(
            value=score.value,
            metric=METRIC,
            interval=score.interval,
            raw=raw.score(),
            random_init=random.score(),
            over_raw=own.over(raw),
            over_random_init=own.over(random),
            protocol=self.kind,
            task=f"{self.horizon} steps ahead of {known.look_back}",
            train_samples=len(known),
            test_samples=len(asked),
            how=score.how,
            raw_features=f"the look-back ({known.look_back} numbers a channel)",
            details={**score.details, "last_value": last.value},
            better="lower",
        )

    def _examples(self, model: Model, train: Source, test: Source) -> tuple[Examples, Examples]:
        first, second = (whole_series(source, model.adapter) for source in (train, test))
        scale = Scale.of(first)
        length = look_back_of(model.adapter, self.look_back)
        known = Examples.of(first, length, self.horizon, scale, self.stride)
        return known, Examples.of(second, length, self.horizon, scale, role="test")

    def _run(self, train: Examples, test: Examples, features: Features) -> tuple[Errors, float]:
        forecast = ridge.fitted(train, features, self.penalties, self.held)
        found = errors_of(test, lambda batch: forecast.of(features(batch), batch))
        return found, forecast.penalty
