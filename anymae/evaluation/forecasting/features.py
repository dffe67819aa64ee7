"""Features of look-backs: a model's tokens of each channel, one after another.

Shapes: b examples, C channels, L steps of a look-back, N tokens a channel, D width, K features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.encoder import Latents
from anymae.errors import IncompatibleRecipe
from anymae.evaluation.forecasting.examples import Batch
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.tokens import Packed

Features = Callable[[Batch], Tensor]
"""(b, C, K) of a batch."""


def raw_features(batch: Batch) -> Tensor:
    """The look-back itself, with mean 0 and deviation 1: K = L."""
    return batch.normal_past


@dataclass(frozen=True)
class TokenFeatures:
    """A frozen model's tokens, nothing masked: K = N D."""

    model: Model
    layer: int
    precision: Precision

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        device = next(self.model.parameters()).device
        packed = self.model.adapter.batch_tokenize(batch.samples).to(device)
        with autocast(device, self.precision):
            depth = self.model.encoder.config.depth
            layer = self.layer % depth
            latents = self.model.encode(packed, taps=(layer,))
        x = latents.x if layer == depth - 1 else latents.taps[0]
        return by_channel(latents, x, packed, batch.past.shape[1]).float().cpu()


def by_channel(latents: Latents, x: Tensor, packed: Packed, channels: int) -> Tensor:
    """(b, C, N D) from encoded rows: each sample's tokens come channel by channel, in time."""
    tokens = latents.tokens(x)
    each = packed.segments.equal
    if each is not None and each % channels == 0:
        lanes = packed.coords[:, 1].view(len(packed), channels, -1)
        wanted = torch.arange(channels, device=lanes.device)[None, :, None]
        if bool((lanes == wanted).all()):
            return tokens.reshape(len(packed), channels, -1)
    raise IncompatibleRecipe(
        "forecasting needs as many tokens of every channel, channel by channel",
        hint="Use timeseries with channels='independent' or 'mixed'.",
    )
