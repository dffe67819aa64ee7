"""Goals: what a model is asked beside its main question, e.g. a teacher's view of seen tokens.

Shapes: T tokens, A tokens a goal asks about, W width of the answers, F numbers predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.decoders import Decoder, LinearDecoder, Question, Whole
from anymae.encoder import EncoderConfig, Latents
from anymae.kernels.segments import Segments
from anymae.losses import Loss, SquaredLoss
from anymae.masks import Roles, Scope
from anymae.targets import Content, Target
from anymae.tokens import Packed


class Goal(BaseModel):
    """A decoder, a target and a loss, for the tokens in ``scope`` (those the mask asks for, the
    seen, all, or one for each whole sample), with a ``weight``.

    ``tap`` is the encoder block that the decoder reads: -1 is the last with the final norm, others
    (counted from 0, or from the end) are raw outputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: Decoder = LinearDecoder()
    target: Target = Content()
    loss: Loss = SquaredLoss()
    scope: Scope = "asked"
    weight: float = Field(default=1.0, gt=0)
    tap: int = -1


@dataclass(frozen=True)
class Term:
    """One goal's part of a loss: a ``sum`` over ``count`` tokens, times ``weight``."""

    sum: Tensor
    count: int
    weight: float


class Answer(nn.Module):
    """A goal's decoder and head, for an ``encoder`` and a teacher of configuration ``looker``."""

    def __init__(
        self,
        goal: Goal,
        adapter: Adapter,
        encoder: EncoderConfig,
        looker: EncoderConfig,
        place: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.goal = goal
        self.decoder = goal.decoder.build(encoder, place, adapter.edge_dim)
        self.head = goal.target.head(adapter, goal.decoder.out_width(encoder), looker)
        self.target_state = goal.target.state(adapter, looker)

    def of_whole(self, latents: Latents, packed: Packed) -> Tensor:
        """(T, F) what the goal says of every token of a batch, of which none was hidden."""
        rows = torch.arange(packed.segments.total, device=packed.device)
        nobody = Segments.of_lengths([0] * len(packed))
        roles = Roles(rows, packed.segments, rows[:0], nobody, rows, packed.segments)
        whole = None
        if packed.edges is not None:
            whole = Whole(packed.edges, packed.coords, packed.segments, roles, None)
        question = Question(packed.coords, packed.coords, packed.segments, rows, whole)
        return self.head(self.decoder(latents, question), packed.coords)
