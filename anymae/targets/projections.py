"""Random projections: what a few networks that never learn make of a whole sample.

Shapes: B samples, A asked rows, T tokens, F numbers a token, P coordinates, K networks, H hidden
numbers of each, E numbers that one says.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anymae import draws
from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.kernels import ragged
from anymae.losses import Loss
from anymae.targets.target import Look, Scene, Target
from anymae.tokens import OBSERVED, Packed


class Projections(Target, kind="projections"):
    """What ``networks`` random networks say of a whole sample, ``size`` numbers each, for
    ``loss=row-correlation``, which is averaged over networks (LFR, Sui et al. 2024).

    A network has one layer of ``hidden`` numbers, gelu(x W) cos(c U + b) of a token's content x
    at coordinates c, averaged over the sample's tokens, and a linear map of that, less its mean
    over the samples that training starts with. Of ``candidates`` times as many networks those are
    kept whose views of these samples differ most: greedily, for the largest determinant of the
    cosines between their matrices of cosines between samples.
    """

    networks: int = Field(default=6, gt=0)
    size: int = Field(default=64, gt=0)
    hidden: int = Field(default=256, gt=0)
    candidates: int = Field(default=10, gt=0)

    @property
    def of_samples(self) -> bool:
        return True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return self.networks * self.size

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> Projectors:
        drawn = Projectors(adapter.token_dim, adapter.coord_dim, self.hidden, self.size)
        drawn.draw(self.networks, seed=0)
        return drawn

    @torch.no_grad()
    def prepare(
        self, state: nn.Module, adapter: Adapter, packed: Packed, look: Look, seed: int
    ) -> None:
        kept = cast(Projectors, state)
        every = Projectors(adapter.token_dim, adapter.coord_dim, self.hidden, self.size)
        every.draw(self.networks * self.candidates, seed)
        said = every.to(packed.device)(adapter, packed)
        chosen = most_different(_views(said - said.mean(0)), self.networks)
        for name, tensor in kept.named_buffers():
            tensor.copy_(getattr(every, name)[chosen])
        kept.mean.copy_(said.mean(0)[chosen])

    @torch.no_grad()
    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.state is None:
            raise BadConfig(f"target={self.kind} needs whole samples and its networks")
        said = cast(Projectors, scene.state)(adapter, scene.packed)
        return said.flatten(1).index_select(0, scene.owners)

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        pairs = zip(prediction.split(self.size, 1), target.split(self.size, 1), strict=True)
        return torch.stack([loss.per_token(said, true) for said, true in pairs]).mean(0)


class Projectors(nn.Module):
    """K random networks, saved with the model: ``forward(adapter, packed)`` gives (B, K, E)."""

    def __init__(self, token_dim: int, coord_dim: int, hidden: int, size: int) -> None:
        super().__init__()
        self.shapes = {
            "content": (token_dim, hidden),
            "places": (coord_dim, hidden),
            "phases": (hidden,),
            "out": (hidden, size),
            "mean": (size,),
        }
        self.content: Tensor
        self.places: Tensor
        self.phases: Tensor
        self.out: Tensor
        self.mean: Tensor

    def draw(self, networks: int, seed: int) -> None:
        """Draw ``networks`` of them."""
        generator = draws.generator(seed, "projections")
        for name, shape in self.shapes.items():
            drawn = torch.randn(networks, *shape, generator=generator)
            self.register_buffer(name, drawn * (shape[0] ** -0.5 if name == "content" else 1.0))
        self.mean.zero_()

    def forward(self, adapter: Adapter, packed: Packed) -> Tensor:
        content = adapter.target(packed).detach().float()
        observed = packed.side.get(OBSERVED)
        if observed is not None and observed.shape == content.shape:
            content = content.masked_fill(~observed, 0.0)
        said = [self._said(one, content, packed) for one in range(len(self.mean))]
        return torch.stack(said, 1)

    def _said(self, one: int, content: Tensor, packed: Packed) -> Tensor:
        """(B, E) of one network; one after another, as T x K x H numbers would be many."""
        angles = packed.coords.float() @ self.places[one] + self.phases[one]
        hidden = F.gelu(content @ self.content[one]) * angles.cos()
        return ragged.mean(hidden, packed.segments) @ self.out[one] - self.mean[one]


def _views(said: Tensor) -> Tensor:
    """(K, B B) of length 1: each network's cosines between samples, from (B, K, E)."""
    rows = F.normalize(said.transpose(0, 1).double(), dim=2)
    return F.normalize((rows @ rows.transpose(1, 2)).flatten(1), dim=1)


def most_different(views: Tensor, count: int) -> Tensor:
    """(count,) indices of rows of (K, N), chosen one after another so that the determinant of
    their products is largest each time (greedy inference of a determinantal point process, Chen et
    al. 2018)."""
    left = views.clone()
    chosen: list[int] = []
    for _ in range(count):
        lengths = left.square().sum(1)
        lengths[chosen] = -1.0
        best = int(lengths.argmax())
        chosen.append(best)
        along = F.normalize(left[best], dim=0)
        left = left - (left @ along)[:, None] * along
    return torch.tensor(chosen, device=views.device)
