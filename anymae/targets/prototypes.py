"""Prototypes: which of a few codewords, that follow a teacher's features, a token's is nearest to.

Shapes: L layers, A asked tokens, T tokens, K codewords, D the teacher's width.
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
from anymae.losses import Loss
from anymae.targets.codes import k_means, logits_of, refuse_few
from anymae.targets.features import Features
from anymae.targets.target import Look, Scene
from anymae.tokens import Packed

AT_ONCE = 64
"""Samples that a teacher is shown together before training."""


class Prototypes(Features, kind="prototypes"):
    """The nearest of ``codes`` codewords to the teacher's feature of a token, in each of ``layers``
    blocks: a one-hot vector a layer, for ``loss=cross-entropy``, which is averaged over layers.

    A codeword is a moving average of the features it was nearest to. It holds their sum and their
    count, and after each training step in which it was met s <- d s + (1 - d) sum and likewise the
    count, with d the ``decay``; others stay (DinoSR, Liu et al. 2023). Counts start at 1 and never
    fall below, so that a codeword nobody is near to keeps a place. With d = 1 codewords stay where
    they start: at features of random ``"tokens"``, or at centroids of ``"k-means"``. Raises
    ``BadConfig`` if training starts with fewer tokens than ``codes``.
    """

    codes: int = Field(default=256, ge=2)
    decay: float = Field(default=0.9, ge=0, le=1)
    start: Literal["tokens", "k-means"] = "tokens"
    normalise: Literal["none", "token", "sample", "unit"] = "sample"

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        super().width(adapter, encoder)
        return self.layers * self.codes

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> Codewords:
        return Codewords(self.layers, self.codes, super().width(adapter, encoder))

    @torch.no_grad()
    def prepare(
        self, state: nn.Module, adapter: Adapter, packed: Packed, look: Look, seed: int
    ) -> None:
        refuse_few(packed.segments.total, self.codes, self.kind)
        parts = [
            self.in_latents(look(packed.slice(i, min(i + AT_ONCE, len(packed))), self.taps))
            for i in range(0, len(packed), AT_ONCE)
        ]
        every = torch.cat(parts, 1)
        words = cast(Codewords, state)
        if self.start == "k-means":
            words.sums.copy_(torch.stack([k_means(x, self.codes, seed) for x in every]))
        else:
            order = torch.randperm(every.shape[1], generator=draws.generator(seed, "prototypes"))
            words.sums.copy_(every[:, order[: self.codes].to(every.device)])
        words.counts.fill_(1.0)

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.state is None:
            raise BadConfig("target=prototypes needs a teacher to look at the batch, and codewords")
        apart = torch.cdist(self.by_layer(scene), cast(Codewords, scene.state).centres)
        return F.one_hot(apart.argmin(2).T, self.codes).flatten(1).float()

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        said, true = (x.reshape(-1, self.codes) for x in (prediction, target))
        return loss.per_token(said, true).view(-1, self.layers).mean(1)

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        return logits_of(target.unflatten(1, (self.layers, self.codes))).flatten(1)

    @torch.no_grad()
    def observe(self, scene: Scene, target: Tensor) -> Tensor | None:
        """(L, K, D + 1): the sum of the features nearest to each codeword, and their count."""
        if self.decay == 1:
            return None
        nearest = target.unflatten(1, (self.layers, self.codes)).permute(1, 2, 0)
        features = self.by_layer(scene)
        # A product with 0 and 1, not an indexed addition, whose order a GPU does not keep.
        with torch.autocast(features.device.type, enabled=False):
            sums = nearest @ features
        return torch.cat([sums, nearest.sum(2, keepdim=True)], 2)

    @torch.no_grad()
    def learn(self, state: nn.Module, observed: Tensor) -> None:
        words = cast(Codewords, state)
        sums, counts = observed[..., :-1], observed[..., -1]
        met = counts > 0
        words.sums.copy_(
            torch.where(met[..., None], words.sums.lerp(sums, 1 - self.decay), words.sums)
        )
        words.counts.copy_(
            torch.where(met, words.counts.lerp(counts, 1 - self.decay), words.counts)
        )


class Codewords(nn.Module):
    """``sums`` (L, K, D) and ``counts`` (L, K), saved with the model."""

    def __init__(self, layers: int, codes: int, width: int) -> None:
        super().__init__()
        self.sums: Tensor
        self.counts: Tensor
        self.register_buffer("sums", torch.zeros(layers, codes, width))
        self.register_buffer("counts", torch.ones(layers, codes))

    @property
    def centres(self) -> Tensor:
        """(L, K, D) the codewords."""
        return self.sums / self.counts[..., None]
