"""The options of fine-tuning, in one schema."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from anymae.config import TrainingConfig


class FinetuneConfig(BaseModel):
    """How a model is fine-tuned: MAE's recipe (He et al. 2022) with numbers for small data.

    The peak learning rate is ``lr``, or ``base_lr`` times the root of ``batch_size`` / 256; the
    encoder's b-th of N blocks learns at ``layer_decay`` ** (N - b) of it, the embedding at
    ``layer_decay`` ** (N + 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int | None = Field(default=None, gt=0)
    """None: 30, or as many as make 600 steps."""
    batch_size: int = Field(default=64, gt=0)
    lr: float | None = Field(default=None, gt=0)
    base_lr: float = Field(default=1e-3, gt=0)
    min_lr: float = Field(default=1e-6, ge=0)
    layer_decay: float = Field(default=0.75, gt=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the run in which the learning rate rises linearly; then a cosine falls."""
    clip: float | None = Field(default=None, gt=0)
    """Largest gradient norm; None: not clipped."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Of classes; regression has none."""
    mixup: float = Field(default=0.0, ge=0)
    """The a of Beta(a, a) by which samples of a batch are mixed; 0: they are not."""
    augment: bool = True
    """Vary training samples as pretraining does (``Adapter.augment``). Switch it off where labels
    do not survive that: mirrored digits, sizes in cropped images."""
    pool: str = "mean"
    """How tokens become one vector: see ``Model.embed``."""
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: int | None = Field(default=None, ge=0)
    """Loader processes; None: chosen from the machine. Never part of the result."""

    def epochs_for(self, samples: int) -> int:
        """How often ``samples`` samples are seen."""
        steps = math.ceil(samples / self.batch_size)
        return self.epochs or max(30, math.ceil(600 / steps))

    @property
    def schedule(self) -> TrainingConfig:
        """The learning rate over the run, as training knows it."""
        return TrainingConfig(
            lr=self.lr,
            base_lr=self.base_lr,
            lr_scaling="sqrt",
            min_lr=self.min_lr,
            warmup=self.warmup,
        )
