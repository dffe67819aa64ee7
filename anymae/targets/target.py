"""Target: what the answer should be, and the scene it may look at to know.

Shapes: B samples, T tokens, A asked tokens, F numbers predicted for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from anymae.adapter import Adapter, LinearHead
from anymae.encoder import EncoderConfig, Latents
from anymae.kernels.segments import Segments
from anymae.losses import Loss
from anymae.masks import Roles
from anymae.parts import Part
from anymae.pooling import pooled
from anymae.tokens import Packed

Shown = Literal["all", "seen", "asked"]
"""Which tokens a teacher is shown."""
Look = Callable[[Packed, tuple[int, ...]], Latents]
"""Encodes tokens without gradient as the teacher does, with taps of some blocks."""


@dataclass(frozen=True)
class Scene:
    """A batch of T tokens, their ``roles``, the ``rows`` (A,) that a target is wanted for, and
    ``look``, which shows them to the teacher."""

    packed: Packed
    roles: Roles
    rows: Tensor
    of_rows: Segments
    look: Look
    state: nn.Module | None = None
    """What the target keeps with the model, e.g. a codebook."""
    head: nn.Module | None = None
    """The teacher's copy of the goal's head (the student's own, where there is none): ``forward(x
    (A, D), coords (A, P))`` of the teacher's features."""
    _kept: dict[tuple[Shown, tuple[int, ...]], Latents] = field(default_factory=dict)
    losses: Tensor | None = None
    """(A,) of the main goal, for goals that ask about the same tokens."""
    hidden_edges: Tensor | None = None
    """(E,) bool: the edges that the student does not see; None: it sees all."""

    def about(
        self,
        rows: Tensor,
        of_rows: Segments,
        state: nn.Module | None,
        head: nn.Module | None = None,
    ) -> Scene:
        """The same scene, for other tokens and a target of its own; what was looked at stays
        known."""
        return replace(self, rows=rows, of_rows=of_rows, state=state, head=head)

    @property
    def owners(self) -> Tensor:
        """(A,) which sample each row is of."""
        return self.packed.segments.ids(self.rows.device)[self.rows]

    def pooled(self, pool: str) -> Tensor:
        """(B, D) the teacher's final features of each whole sample (see ``anymae.pooling``)."""
        return pooled(self.latents("all", ()), (pool,)).float()

    @cached_property
    def said(self) -> Tensor:
        """(A, F) what ``head`` makes of the teacher's features of the rows, without gradient."""
        features = self.latents("all", (-1,)).tokens().index_select(0, self.rows)
        return self.of_head(features)

    @torch.no_grad()
    def of_head(self, features: Tensor) -> Tensor:
        """(A, F) what ``head`` makes of features (A, D) of the rows."""
        coords = self.packed.coords.index_select(0, self.rows)
        return cast(nn.Module, self.head)(features, coords).float()

    def latents(self, shown: Shown, taps: tuple[int, ...]) -> Latents:
        """What the teacher makes of the tokens it is shown; computed once a batch."""
        if shown == "asked":  # the only tokens that differ between goals
            return self._looked(shown, taps)
        if (shown, taps) not in self._kept:
            self._kept[shown, taps] = self._looked(shown, taps)
        return self._kept[shown, taps]

    @torch.no_grad()
    def _looked(self, shown: Shown, taps: tuple[int, ...]) -> Latents:
        return self.look(self._shown(shown), taps)

    def _shown(self, shown: Shown) -> Packed:
        if shown == "all":
            return self.packed
        if shown == "seen":
            return self.packed.select(self.roles.see, self.roles.of_see)
        return self.packed.select(self.rows, self.of_rows)


class Target(Part, slot="target"):
    """A part that says what is predicted.

    What is learned to say it (a codebook) is a ``state`` beside the model's weights: filled by
    ``prepare`` before training and, where it goes on learning, moved by ``learn`` once a step, by
    the sum of what ``observe`` found in all of the step's batches. ``encoder`` is everywhere the
    configuration of who looks: the teacher's, which is the student's own unless it was given.
    """

    copied: ClassVar[bool] = False
    """Whether a teacher keeps a copy of the goal's decoder and head, to be asked itself."""
    needs_head: ClassVar[bool] = False
    """Whether the teacher must have that copy (``Scene.head``)."""
    asks_all: ClassVar[bool] = False
    """Whether all tokens must be asked together."""

    @property
    def of_samples(self) -> bool:
        """Whether all tokens of a sample have one target, that of the sample."""
        return False

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        """Numbers predicted for each token. Raises ``IncompatibleRecipe``."""
        raise NotImplementedError

    def head(self, adapter: Adapter, width: int, encoder: EncoderConfig) -> nn.Module:
        """A module ``forward(x (A, width), coords (A, P))`` that makes predictions."""
        return LinearHead(width, self.width(adapter, encoder))

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> nn.Module | None:
        """What is kept with the model, if anything."""
        return None

    def prepare(
        self, state: nn.Module, adapter: Adapter, packed: Packed, look: Look, seed: int
    ) -> None:
        """Fill ``state`` from the tokens that training starts with."""

    def observe(self, scene: Scene, target: Tensor) -> Tensor | None:
        """What the asked tokens, whose targets are ``target`` (A, F), tell ``state``: a sum over
        tokens, so that the parts of a step add up; None if it learns nothing more."""
        return None

    def learn(self, state: nn.Module, observed: Tensor) -> None:
        """Move ``state`` by what one whole training step observed."""

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        """(A, width) targets for the asked tokens, without gradient."""
        raise NotImplementedError

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        """(A,) how far predictions are from these targets by the recipe's loss."""
        return loss.per_token(prediction, target)

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        """The prediction (A, F) that says this target, or this mean of targets: itself, unless the
        two have other units (logits and classes)."""
        return target
