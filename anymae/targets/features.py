"""Features: what a teacher makes of a token it can see.

Shapes: A asked tokens, N tokens shown to the teacher, D its width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig, Latents
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.kernels import ragged
from anymae.kernels.segments import Segments
from anymae.losses import Loss
from anymae.targets.target import Scene, Shown, Target
from anymae.tokens import Packed


class Features(Target, kind="features"):
    """The teacher's latents for the asked tokens, averaged over ``layers`` blocks up to ``block``
    (counted from the end, where -1 is).

    ``shown`` says which tokens the teacher sees. ``normalise="token"`` sets each token of each
    layer to mean 0 and deviation 1 before averaging (a layer norm without weights, as in I-JEPA);
    ``"sample"`` sets each number of each layer so over a sample's tokens (an instance norm, as in
    data2vec); ``"unit"`` divides by the length, that of the prediction too. ``final_norm`` takes
    the encoder's final norm first where only the last block is asked for.
    """

    layers: int = Field(default=1, ge=1)
    block: int = Field(default=-1, le=-1)
    normalise: Literal["none", "token", "sample", "unit"] = "token"
    shown: Shown = "all"
    final_norm: bool = False

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        if encoder is None:
            raise BadConfig(f"target={self.kind} needs an encoder")
        deepest = self.layers - self.block - 1
        if deepest > encoder.depth:
            raise IncompatibleRecipe(
                f"target={self.kind} on {adapter.name} asks for more blocks than there are",
                found=f"layers {self.layers} up to block {self.block}",
                expected=f"at most {encoder.depth} blocks",
                hint="Lower target.layers, or take a deeper encoder.",
            )
        return encoder.width

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None:
            raise BadConfig(f"target={self.kind} needs a teacher to look at the batch")
        return self.by_layer(scene).mean(0)

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        if self.normalise == "unit":
            prediction = F.normalize(prediction.float(), dim=1)
        return loss.per_token(prediction, target)

    @property
    def taps(self) -> tuple[int, ...]:
        """The blocks that are read."""
        return tuple(range(self.block - self.layers + 1, self.block + 1))

    def by_layer(self, scene: Scene) -> Tensor:
        """(layers, A, D) normalised latents of the asked tokens."""
        rows = scene.rows
        if self.shown == "asked":
            rows = torch.arange(len(scene.rows), device=rows.device)
        elif self.shown == "seen":
            rows = torch.searchsorted(scene.roles.see, scene.rows)
        return self.in_latents(scene.latents(self.shown, self.taps)).index_select(1, rows)

    def in_latents(self, latents: Latents) -> Tensor:
        """(layers, N, D) normalised latents of all tokens that were shown."""
        plain = self.final_norm and self.taps == (-1,)
        kept = (latents.x,) if plain else latents.taps
        parts = [latents.tokens(tap).float() for tap in kept]
        return torch.stack([self._normalised(part, latents.of_tokens) for part in parts])

    def _normalised(self, x: Tensor, segments: Segments) -> Tensor:
        if self.normalise == "token":
            return F.layer_norm(x, x.shape[1:])
        if self.normalise == "sample":
            return over_samples(x, segments)
        return F.normalize(x, dim=1) if self.normalise == "unit" else x


def over_samples(x: Tensor, segments: Segments, eps: float = 1e-5) -> Tensor:
    """(N, D) with mean 0 and deviation 1 of each number over each sample's tokens (0 where they
    are alone)."""
    owner = segments.ids(x.device)
    x = x - ragged.mean(x, segments)[owner]
    return x * (ragged.mean(x.square(), segments) + eps).rsqrt()[owner]
