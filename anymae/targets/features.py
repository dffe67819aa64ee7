"""Features: what a teacher makes of a token it can see.

Shapes: A asked tokens, D width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.targets.target import Scene, Shown, Target
from anymae.tokens import Packed


class Features(Target, kind="features"):
    """The teacher's latents for the asked tokens, averaged over its last ``layers`` blocks.

    ``shown`` says which tokens the teacher sees. ``normalise="token"`` sets each token of each
    layer to mean 0 and deviation 1 before averaging (a layer norm without weights, as in data2vec
    and I-JEPA); ``"unit"`` divides by the length; ``final_norm`` takes the encoder's final norm
    first where only the last block is asked for.
    """

    layers: int = Field(default=1, ge=1)
    normalise: Literal["none", "token", "unit"] = "token"
    shown: Shown = "all"
    final_norm: bool = False

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        if encoder is None:
            raise BadConfig("target=features needs an encoder")
        if self.layers > encoder.depth:
            raise IncompatibleRecipe(
                "target=features asks for more blocks than there are",
                found=f"layers {self.layers}",
                expected=f"at most {encoder.depth}",
            )
        return encoder.width

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None:
            raise BadConfig("target=features needs a teacher to look at the batch")
        latents = scene.latents(self.shown, tuple(range(-self.layers, 0)))
        rows = scene.rows
        if self.shown == "asked":
            rows = torch.arange(len(scene.rows), device=rows.device)
        elif self.shown == "seen":
            rows = torch.searchsorted(scene.roles.see, scene.rows)
        kept = (latents.x,) if self.final_norm and self.layers == 1 else latents.taps
        parts = [latents.tokens(tap).index_select(0, rows).float() for tap in kept]
        return torch.stack([self._normalised(part) for part in parts]).mean(0)

    def _normalised(self, x: Tensor) -> Tensor:
        if self.normalise == "token":
            return F.layer_norm(x, x.shape[1:])
        return F.normalize(x, dim=1) if self.normalise == "unit" else x
