"""Assignments: how the teacher's own head spreads a token over prototypes that are learned with it.

Shapes: A asked tokens, D width, K prototypes, E numbers of a prototype.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.losses import Loss
from anymae.targets.codes import logits_of
from anymae.targets.target import Scene, Target
from anymae.tokens import Packed


class Assignments(Target, kind="assignments"):
    """A soft choice among ``codes`` prototypes, which the teacher makes of a token it can see, for
    ``loss=cross-entropy`` (iBOT, Zhou et al. 2022).

    A head of three layers (``hidden`` wide; None: four times the features) and ``bottleneck``
    numbers of length 1 compares a token with prototypes of length 1; the teacher has a copy of it.
    Targets are softmax((c_t - m) / ``sharpness``) of the teacher's cosines c_t, predictions
    softmax(c_s / ``temperature``) of the student's. m is a moving average of the mean c_t of the
    asked tokens, m <- k m + (1 - k) mean after each training step, with k the ``momentum``: no
    prototype stays everybody's choice, and targets sharper than predictions keep a choice from
    being all of them alike. With a ``pool`` the teacher speaks of whole samples (see
    ``PooledFeatures``), and an ``entropy`` weighs how far the mean prediction of the rows that are
    scored together is from even, log K less its entropy (MSN, Assran et al. 2022). Raises
    ``IncompatibleRecipe`` unless answers are as wide as the teacher's features.
    """

    copied: ClassVar[bool] = True
    needs_head: ClassVar[bool] = True

    codes: int = Field(default=256, ge=2)
    hidden: int | None = Field(default=None, gt=0)
    bottleneck: int = Field(default=256, gt=0)
    sharpness: float = Field(default=0.04, gt=0)
    temperature: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    pool: Literal["cls", "mean", "max"] | None = None
    entropy: float = Field(default=0.0, ge=0)

    @property
    def of_samples(self) -> bool:
        return self.pool is not None

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return self.codes

    def head(self, adapter: Adapter, width: int, encoder: EncoderConfig) -> nn.Module:
        if width != encoder.width:
            raise IncompatibleRecipe(
                f"target={self.kind} on {adapter.name} needs answers as wide as the teacher's "
                "features: one head reads both",
                found=width,
                expected=encoder.width,
                hint="Use decoder=linear with corruption=mask-token, or set decoder.width.",
            )
        hidden = self.hidden or 4 * width
        return PrototypeHead(width, hidden, self.bottleneck, self.codes)

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> Centre:
        return Centre(self.codes)

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.state is None:
            raise BadConfig(f"target={self.kind} needs a teacher to look at the batch")
        if scene.head is None:
            raise BadConfig(f"target={self.kind} needs the teacher's own head")
        centred = self._said(scene) - cast(Centre, scene.state).mean
        return (centred / self.sharpness).softmax(1)

    def _said(self, scene: Scene) -> Tensor:
        """(A, K) cosines of what the teacher's head makes of each row, or of its sample."""
        if self.pool is None:
            return scene.said
        return scene.of_head(scene.pooled(self.pool).index_select(0, scene.owners))

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        logits = prediction.float() / self.temperature
        each = loss.per_token(logits, target)
        return each + self.entropy * _uneven(logits) if self.entropy else each

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        return self.temperature * logits_of(target)

    @torch.no_grad()
    def observe(self, scene: Scene, target: Tensor) -> Tensor:
        """(K + 1,): the sum of what the teacher says of the asked tokens, and their count."""
        said = self._said(scene)
        return torch.cat([said.sum(0), said.new_tensor([len(said)])])

    @torch.no_grad()
    def learn(self, state: nn.Module, observed: Tensor) -> None:
        mean, count = cast(Centre, state).mean, observed[-1]
        moved = mean.lerp(observed[:-1] / count.clamp(min=1), 1 - self.momentum)
        mean.copy_(torch.where(count > 0, moved, mean))


def _uneven(logits: Tensor) -> Tensor:
    """(A,) shares of log K - H(m), of which it is the mean, with m the mean of the choices."""
    choices = logits.softmax(1)
    mean = choices.mean(0)
    return math.log(len(mean)) + (choices * (mean + 1e-12).log()).sum(1)


class PrototypeHead(nn.Module):
    """(A, K) cosines of x (A, D) with prototypes, after three layers."""

    def __init__(self, width: int, hidden: int, bottleneck: int, codes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.prototypes = nn.Parameter(torch.empty(codes, bottleneck))
        nn.init.normal_(self.prototypes)

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        x = self.layers(x)
        with torch.autocast(x.device.type, enabled=False):  # cosines are divided by 0.04
            return F.normalize(x.float(), dim=1) @ F.normalize(self.prototypes, dim=1).T


class Centre(nn.Module):
    """``mean`` (K,), saved with the model."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(codes))
