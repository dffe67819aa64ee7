"""Balanced clusters: how a teacher's features spread over clusters that all are used alike.

Shapes: B samples, T tokens, A asked tokens, D the teacher's width, K clusters.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anymae import draws
from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.losses import Loss
from anymae.targets.codes import logits_of
from anymae.targets.features import Features
from anymae.targets.target import Scene
from anymae.tokens import Packed
from anymae.views import one_of_each

BETAS, EPS = (0.9, 0.95), 1e-8


class Balanced(Features, kind="balanced"):
    """Which of ``codes`` clusters a token is in, as a teacher sees it that sees all tokens, for
    ``loss=cross-entropy`` (CAPI, Darcet et al. 2025).

    A linear map of the teacher's features, of length 1, says how near each cluster is. Divided by
    ``sharpness`` these are balanced by Sinkhorn and Knopp's ``steps``, among the tokens at the same
    place (number within the sample) of the samples of a batch: there every cluster gets an equal
    share, so that none stands for a place (and a token that is alone there is in all clusters
    alike). The map learns, once a step, to say what was balanced
    of all tokens: cross entropy of softmax at ``temperature``, by Adam with rate ``lr`` and its
    own moments. Predictions are cosines with learned prototypes over ``temperature``. Targets
    depend on who else is in the batch, which should hold about as many samples as there are
    clusters: with far fewer, tokens at one place are in all clusters alike.
    """

    codes: int = Field(default=64, ge=2)
    sharpness: float = Field(default=0.06, gt=0)
    temperature: float = Field(default=0.12, gt=0)
    steps: int = Field(default=3, gt=0)
    lr: float = Field(default=5e-4, gt=0)
    normalise: Literal["none", "token", "sample", "unit"] = "unit"
    final_norm: bool = True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        super().width(adapter, encoder)
        return self.codes

    def head(self, adapter: Adapter, width: int, encoder: EncoderConfig) -> nn.Module:
        return CosineHead(width, self.width(adapter, encoder))

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> Clusters:
        return Clusters(self.codes, super().width(adapter, encoder))

    @torch.no_grad()
    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.state is None:
            raise BadConfig(f"target={self.kind} needs a teacher to look at the batch")
        shares = self._balanced(scene)[1]
        return shares.repeat(scene.packed.views, 1).index_select(0, scene.rows)

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        return loss.per_token(prediction.float() / self.temperature, target)

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        return self.temperature * logits_of(target)

    @torch.no_grad()
    def observe(self, scene: Scene, target: Tensor) -> Tensor:
        """(K, D + 2): the gradient of the map and its bias, added up over all tokens, and how many
        these are."""
        features, shares = self._balanced(scene)
        with torch.autocast(features.device.type, enabled=False):
            said = (cast(Clusters, scene.state)(features) / self.temperature).softmax(1)
            slope = (said - shares).T @ F.pad(features, (0, 1), value=1.0) / self.temperature
        return F.pad(slope, (0, 1), value=float(len(features)))

    @torch.no_grad()
    def learn(self, state: nn.Module, observed: Tensor) -> None:
        count = observed[0, -1].clamp(min=1)
        cast(Clusters, state).step(observed[:, :-1] / count, self.lr)

    def _balanced(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """(T, D) features and (T, K) shares of all tokens, those of the first view."""
        packed = one_of_each(scene.packed)
        features = self.in_latents(scene.latents("all", self.taps)).mean(0)
        features = features[: packed.segments.total]
        with torch.autocast(features.device.type, enabled=False):
            logits = cast(Clusters, scene.state)(features) / self.sharpness
            return features, balanced(logits, packed.segments, self.steps)


def balanced(logits: Tensor, segments: Segments, steps: int) -> Tensor:
    """(T, K) shares of each token, which sum to 1: exp of logits (T, K) whose columns and rows are
    scaled in turn, ``steps`` times, among tokens at the same place of their samples, so that
    columns sum to the same (Sinkhorn and Knopp 1967; Caron et al. 2020)."""
    place, owner = segments.within(logits.device), segments.ids(logits.device)
    table = logits.new_full((segments.longest, len(segments), logits.shape[1]), float("-inf"))
    table[place, owner] = logits
    for _ in range(steps):
        table = table - table.logsumexp(1, keepdim=True)
        table[place, owner] = table[place, owner].log_softmax(1)
    return table[place, owner].exp()


class CosineHead(nn.Module):
    """(A, K) cosines of x (A, D) with prototypes."""

    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.empty(codes, width))
        nn.init.normal_(self.prototypes)

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # cosines are divided by 0.12
            return F.normalize(x.float(), dim=1) @ F.normalize(self.prototypes, dim=1).T


class Clusters(nn.Module):
    """A linear map (T, D) to (T, K) and its optimiser's moments, saved with the model: ``map``
    (K, D + 1), of which the last column is the bias."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.map: Tensor
        self.first: Tensor
        self.second: Tensor
        self.taken: Tensor
        start = torch.randn(codes, width + 1, generator=draws.generator("clusters"))
        start[:, -1] = 0.0
        self.register_buffer("map", start * width**-0.5)
        self.register_buffer("first", torch.zeros(codes, width + 1))
        self.register_buffer("second", torch.zeros(codes, width + 1))
        self.register_buffer("taken", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.map[:, :-1].T + self.map[:, -1]

    def step(self, slope: Tensor, lr: float) -> None:
        """One step of Adam (Kingma and Ba 2015) along a gradient (K, D + 1)."""
        self.taken += 1
        self.first.lerp_(slope, 1 - BETAS[0])
        self.second.lerp_(slope.square(), 1 - BETAS[1])
        first = self.first / (1 - BETAS[0] ** self.taken)
        second = self.second / (1 - BETAS[1] ** self.taken)
        self.map -= lr * first / (second.sqrt() + EPS)
