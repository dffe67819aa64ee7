"""Network: a pretrained encoder, the mean of its tokens, a new norm and a linear head.

Shapes: B samples, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from anymae import draws, pooling
from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.model import Model, ModelConfig
from anymae.recipe import Recipe
from anymae.tokens import Packed


class Network(nn.Module):
    """``forward(packed)`` gives (B, outputs). The encoder's final norm gives way to a norm of the
    pooled vector (He et al. 2022); decoder and mask tokens are left behind."""

    def __init__(
        self, adapter: Adapter, recipe: Recipe, encoder: EncoderConfig, outputs: int, pool: str
    ) -> None:
        super().__init__()
        backbone = Model(adapter, recipe, encoder)
        setattr(backbone.encoder, "norm", nn.Identity())  # noqa: B010 (declared a LayerNorm)
        del backbone.decoder, backbone.head, backbone.corruption
        self.backbone = backbone
        self.pool = pooling.parsed(pool, encoder)
        width = len(self.pool) * encoder.width
        self.norm = nn.LayerNorm(width, eps=encoder.norm_eps)
        self.head = nn.Linear(width, outputs)

    @property
    def adapter(self) -> Adapter:
        """The modality."""
        return self.backbone.adapter

    @property
    def config(self) -> ModelConfig:
        """Rebuilds the backbone but its weights."""
        return self.backbone.config

    def forward(self, packed: Packed) -> Tensor:
        return self.head(self.norm(pooling.pooled(self.backbone.encode(packed), self.pool)))

    def start_from(self, model: Model, head_std: float, seed: int) -> None:
        """Take a model's weights; draw those of the head from a normal distribution truncated at
        2 (the paper's rule), with ``head_std``."""
        mine = self.backbone.state_dict()
        theirs = model.state_dict()
        self.backbone.load_state_dict({name: theirs[name] for name in mine})
        with torch.no_grad():
            generator = draws.generator(seed, "head")
            nn.init.trunc_normal_(self.head.weight, std=head_std, generator=generator)
            self.head.bias.zero_()


class Tunable(Protocol):
    """A network with a pretrained ``backbone`` and layers of its own."""

    @property
    def config(self) -> ModelConfig: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


def parameter_groups(
    network: Tunable, decay: float, weight_decay: float
) -> Iterator[dict[str, Any]]:
    """Groups for AdamW with layer-wise decay of the learning rate (Clark et al. 2020, as in MAE).

    With N blocks, group 0 is the embedding with registers and positions, block b group b + 1,
    norm and head group N + 1; group i learns at ``scale`` = decay ** (N + 1 - i). Vectors and
    registers have no weight decay.
    """
    last = network.config.encoder.depth + 1
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        decays = parameter.ndim > 1 and name != "backbone.encoder.lead"
        groups.setdefault((_group(name, last), decays), []).append(parameter)
    for (group, decays), parameters in sorted(groups.items(), key=lambda item: item[0]):
        yield {
            "params": parameters,
            "scale": decay ** (last - group),
            "weight_decay": weight_decay if decays else 0.0,
        }


def _group(name: str, last: int) -> int:
    if name.startswith("backbone.encoder.blocks."):
        return int(name.split(".")[3]) + 1
    return 0 if name.startswith("backbone.") else last
