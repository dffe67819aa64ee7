"""Mask: one choice of priority, groups and budget, with separate *see* and *ask* sets.

Shapes: B samples, T tokens, S seen, A asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.masks.budgets import Budget, RatioBudget
from anymae.masks.groups import EachToken, Groups
from anymae.masks.priorities import NoisePriority, Priority, noise
from anymae.masks.select import complement, select
from anymae.masks.watched import Onlooker, WatchedPriority
from anymae.tokens import Packed


@dataclass(frozen=True)
class Roles:
    """What becomes of each token of a batch: ascending packed indices of tokens the encoder
    sees, ``see`` (S,), of those it does not, ``hide`` (T - S,), and of those the decoder is
    asked for, ``ask`` (A,), a subset of the hidden."""

    see: Tensor
    of_see: Segments
    hide: Tensor
    of_hide: Segments
    ask: Tensor
    of_ask: Segments

    @property
    def of_all(self) -> Segments:
        """How all T tokens are cut."""
        return Segments(self.of_see.offsets + self.of_hide.offsets)


class Mask(BaseModel):
    """How tokens are hidden.

    ``budget`` counts groups (tokens, where ``groups`` is ``each``). ``ask`` is the fraction of
    the hidden tokens that are predicted (at least one): 1 asks for all. They are drawn at
    ``"random"``, or are the ``"next"`` ones in the priority's order: those that a larger budget
    would have shown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Priority = NoisePriority()
    groups: Groups = EachToken()
    budget: Budget = RatioBudget(ratio=0.75)
    ask: float = Field(default=1.0, gt=0, le=1)
    asked: Literal["random", "next"] = "random"

    @model_validator(mode="before")
    @classmethod
    def _ratio_is_a_budget(cls, fields: Any) -> Any:
        """``mask.ratio=0.6`` says the same as ``mask.budget={kind: ratio, ratio: 0.6}``."""
        if isinstance(fields, dict) and "ratio" in fields:
            fields = dict(fields)
            fields["budget"] = {"kind": "ratio", "ratio": fields.pop("ratio")}
        return fields

    @property
    def ratio(self) -> float | None:
        """The hidden fraction, where the budget is one."""
        return getattr(self.budget, "ratio", None)

    def with_ratio(self, ratio: float) -> Mask:
        """The same mask with another hidden fraction."""
        if not 0 < ratio < 1:
            raise BadConfig("mask ratio must be between 0 and 1", found=ratio)
        return self.model_copy(update={"budget": RatioBudget(ratio=ratio)})

    def draw(self, packed: Packed, onlooker: Onlooker | None = None) -> Roles:
        """Roles for a batch: a function of each sample's key and coordinates, and of what an
        ``onlooker`` (the model) sees in it, where the priority asks or a budget changes."""
        see, of_see, order = self._seen(packed, onlooker)
        hide, of_hide = complement(see, packed.segments, of_see)
        if self.ask == 1:
            return Roles(see, of_see, hide, of_hide, hide, of_hide)
        budget = torch.ceil(of_hide.lengths.double() * self.ask - 1e-9).long()
        order = noise(packed, of_hide, "ask") if self.asked == "random" else order[hide]
        chosen = select(order, of_hide, budget)
        return Roles(see, of_see, hide, of_hide, hide[chosen], Segments.of_lengths(budget))

    def _seen(self, packed: Packed, onlooker: Onlooker | None) -> tuple[Tensor, Segments, Tensor]:
        """The seen tokens, how they are cut, and each token's priority (T,)."""
        grouping = self.groups.of(packed)
        done = 1.0 if onlooker is None else onlooker.done
        budget = self.budget.of(grouping.segments.lengths, packed.keys, done)
        if isinstance(self.priority, WatchedPriority) and onlooker is not None:
            priority = self.priority.of_watched(packed, grouping, onlooker, budget)
        else:
            priority = self.priority.of(packed, grouping)
        seen = select(priority, grouping.segments, budget)
        if grouping.of_token is None:
            return seen, Segments.of_lengths(budget), priority
        return *grouping.tokens_of(seen, packed.segments), priority[grouping.of_token]
