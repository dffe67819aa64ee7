"""A decoder that rebuilds a sample from those of the batch that are like it.

Shapes: B samples (views of one sample counted each), T tokens, L tokens of the longest sample, A
asked tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anymae.decoders.decoder import Decoder, Question
from anymae.encoder import EncoderConfig, Latents
from anymae.kernels import ragged


class NeighbourDecoder(Decoder, kind="neighbours"):
    """The tokens at the asked one's place in the other samples of the batch, other views of its own
    sample among them, averaged by how alike the samples are: softmax of cosines over
    ``temperature`` of what a network of one hidden layer, ``bottleneck`` numbers wide at its end,
    makes of the mean of a sample's tokens (SimMTM, Dong et al. 2023).

    A place is a token's number within its sample; samples that are shorter have no say there, and
    where nobody has one the token speaks for itself. What a batch holds is part of the answer.
    """

    reads_hidden_rows: ClassVar[bool] = True

    temperature: float = Field(default=0.2, gt=0)
    bottleneck: int = Field(default=128, gt=0)

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        return _NeighbourDecoder(encoder.width, self.temperature, self.bottleneck)


class _NeighbourDecoder(nn.Module):
    def __init__(self, width: int, temperature: float, bottleneck: int) -> None:
        super().__init__()
        self.temperature = temperature
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, bottleneck)
        )

    def forward(self, latents: Latents, question: Question) -> Tensor:
        assert question.ask_rows is not None, "Recipe.check admits only corruptions that keep them"
        tokens, of_tokens = latents.tokens(), latents.of_tokens
        shares = self._shares(self.layers(ragged.mean(tokens, of_tokens)))
        owner = of_tokens.ids(tokens.device)[question.ask_rows]
        place = of_tokens.within(tokens.device)[question.ask_rows]
        if of_tokens.equal is not None:
            every = tokens.view(len(of_tokens), of_tokens.equal, -1)
            return torch.einsum("bc,cld->bld", shares.to(tokens.dtype), every)[owner, place]
        return self._ragged(shares, latents, tokens)[question.ask_rows]

    def _shares(self, samples: Tensor) -> Tensor:
        """(B, B) how much each sample listens to each other one; a single one listens to itself."""
        rows = F.normalize(samples.float(), dim=1)
        logits = rows @ rows.T / self.temperature
        if len(rows) > 1:
            itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
            logits = logits.masked_fill(itself, float("-inf"))
        return logits.softmax(1)

    def _ragged(self, shares: Tensor, latents: Latents, tokens: Tensor) -> Tensor:
        """(T, D): for each place, the samples that are long enough."""
        of_tokens = latents.of_tokens
        found = torch.empty_like(tokens)
        starts = of_tokens.offsets[:-1]
        for place in range(of_tokens.longest):
            there = (of_tokens.lengths > place).nonzero()[:, 0]
            rows = (starts[there] + place).to(tokens.device)
            among = shares[there.to(shares.device)][:, there.to(shares.device)]
            total = among.sum(1, keepdim=True)
            mean = (among / total.clamp(min=1e-12)).to(tokens.dtype) @ tokens[rows]
            found = found.index_copy(0, rows, torch.where(total > 0, mean, tokens[rows]))
        return found
