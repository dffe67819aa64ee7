"""The options of fine-tuning a forecaster, and what it must remember."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from anymae.config import TrainingConfig


class ForecastConfig(BaseModel):
    """First a linear probe: the head is the ridge regression of the forecasting protocol. Then
    ``epochs`` over all windows train head and encoder together (linear probing, then fine-tuning:
    Kumar et al. 2022); 0 leaves the probe as it is.

    ``look_back`` None: the length the model was trained on. Windows lie ``stride`` steps apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    horizon: PositiveInt = 96
    look_back: PositiveInt | None = None
    stride: PositiveInt = 1
    epochs: int = Field(default=5, ge=0)
    batch_size: PositiveInt = 64
    lr: PositiveFloat = 1e-4
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the run in which the learning rate rises linearly; then a cosine falls."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of the features that the head reads."""
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    clip: float | None = Field(default=1.0, gt=0)
    """Largest gradient norm; None: not clipped."""
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @property
    def schedule(self) -> TrainingConfig:
        """The learning rate over the run, as training knows it."""
        return TrainingConfig(lr=self.lr, warmup=self.warmup)


class ForecastTask(BaseModel):
    """What is forecast: ``horizon`` steps after ``look_back`` ones, of channels with this ``mean``
    and ``std`` in training; ``features`` enter the head."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["forecasting"] = "forecasting"
    horizon: PositiveInt
    look_back: PositiveInt
    features: PositiveInt
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
