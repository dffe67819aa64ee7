"""The options of the time series adapter, and what it learns from data: its saved fields."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from anymae.adapter import Adapter


class TimeSeriesOptions(Adapter):
    """How series become tokens.

    ``channels`` says what a token holds and whom it meets. ``"independent"``: ``patch`` steps of
    one channel, which meets its own channel only, all channels sharing the weights (PatchTST, Nie
    et al. 2023). ``"mixed"``: the same tokens, but all meet, and know their channel. ``"joint"``:
    ``patch`` steps of all channels. A token without any observed number is left out.

    ``normalise="instance"`` subtracts each channel's mean over the series at hand and divides by
    its deviation (RevIN without parameters, Kim et al. 2022); ``"data"`` uses ``mean`` and ``std``
    of the training data; both are taken back by ``untokenize``.

    With ``window`` an array (T,) or (T, C), a table or a file is one long series, cut into windows
    ``stride`` steps apart; without, a table or file is cut into windows of a default length, and
    arrays have samples on their first axis. ``time_column`` names the column with times, where it
    is not the index or the first one of dates.

    With ``irregular`` times are real numbers, counted in ``time_unit``, and ``patch`` is 1: tokens
    are measurements, or rows of them. Evenly spaced series need no times; steps missing from a
    grid are gaps.

    Pretraining varies series by a random part (``crop``, fractions of the length), a random
    beginning of closed curves and cycles (``roll``), stretched values (``scale``, the spread of
    their logarithm) and noise (``jitter``, in deviations). Fields that are None are learned from
    the data by ``fit``.
    """

    patch: PositiveInt | None = None
    channels: Literal["independent", "mixed", "joint"] | None = None
    normalise: Literal["instance", "data"] | None = None
    window: PositiveInt | None = None
    stride: PositiveInt = 1
    time_column: str | None = None
    irregular: bool | None = None
    crop: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    roll: bool = False
    scale: float = Field(default=0.0, ge=0)
    jitter: float = Field(default=0.0, ge=0)
    channel_count: PositiveInt | None = None
    length: PositiveInt | None = None
    time_unit: PositiveFloat | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        """What a user or a checkpoint says must fit together."""
        if self.irregular and self.patch not in (None, 1):
            raise ValueError("irregular series have patch 1: steps of uneven length make no patch")
        if not self.crop[0] <= self.crop[1] <= 1:
            raise ValueError("crop must be (smallest, largest), at most 1")
        for field in ("mean", "std"):
            value = getattr(self, field)
            if value is not None and self.channel_count not in (None, len(value)):
                raise ValueError(
                    f"{field} has {len(value)} numbers for {self.channel_count} channels"
                )
        return self
