"""A pretrained encoder and one linear head from a channel's tokens to its horizon (PatchTST).

Shapes: b examples, C channels, N tokens a channel, D width, K = N D features, H steps of a horizon.
"""

from __future__ import annotations

from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.evaluation.forecasting.features import by_channel
from anymae.evaluation.forecasting.ridge import Forecast
from anymae.model import Model, ModelConfig
from anymae.recipe import Recipe
from anymae.tokens import Packed


class ForecastNetwork(nn.Module):
    """``forward(packed, channels)`` gives (b, C, H), in deviations of the look-back from its own
    mean. Decoder and mask tokens of the model are left behind."""

    def __init__(
        self,
        adapter: Adapter,
        recipe: Recipe,
        encoder: EncoderConfig,
        features: int,
        horizon: int,
        dropout: float,
    ) -> None:
        super().__init__()
        backbone = Model(adapter, recipe, encoder)
        del backbone.decoder, backbone.head, backbone.corruption
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, horizon)

    @property
    def config(self) -> ModelConfig:
        """Rebuilds the backbone but its weights."""
        return self.backbone.config

    def forward(self, packed: Packed, channels: int) -> Tensor:
        latents = self.backbone.encode(packed)
        rows = by_channel(latents, latents.x, packed, channels)
        return self.head(self.dropout(rows)).float()

    def start_from(self, model: Model, probe: Forecast) -> None:
        """Take a model's weights, and for the head those of a ridge regression on its features."""
        theirs = model.state_dict()
        self.backbone.load_state_dict({name: theirs[name] for name in self.backbone.state_dict()})
        self.head.load_state_dict({"weight": probe.weight[:-1].T, "bias": probe.weight[-1]})
