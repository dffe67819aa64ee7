"""Mask: one choice of priority, groups and budget, with separate *see* and *ask* sets.

Shapes: B samples, T tokens, S seen, A asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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

Scope = Literal["asked", "seen", "all", "sample"]


@dataclass(frozen=True)
class Roles:
    """What becomes of each token of a batch: ascending packed indices of tokens the encoder
    sees, ``see`` (S,), of those it does not, ``hide`` (T - S,), and of those the decoder is
    asked for, ``ask`` (A,), mostly some of the hidden."""

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

    def in_scope(self, scope: Scope) -> tuple[Tensor, Segments]:
        """The packed places of the tokens a goal asks about, and how they are cut. The first token
        of a sample stands for the sample."""
        if scope == "asked":
            return self.ask, self.of_ask
        if scope == "seen":
            return self.see, self.of_see
        if scope == "all":
            return torch.arange(self.of_all.total, device=self.see.device), self.of_all
        first = self.of_all.offsets[:-1].to(self.see.device)
        return first, Segments.of_lengths([1] * len(self.of_all))


class Mask(BaseModel):
    """How tokens are hidden.

    ``budget`` counts groups (tokens, where ``groups`` is ``each``). ``ask`` is the fraction of
    the hidden tokens that are predicted (at least one): 1 asks for all. They are drawn at
    ``"random"``, or are the ``"next"`` ones in the priority's order: those that a larger budget
    would have shown. Or the question is not about hidden tokens, but about the ``"seen"`` ones,
    ``"all"``, or the ``"sample"`` as a whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Priority = NoisePriority()
    groups: Groups = EachToken()
    budget: Budget = RatioBudget(ratio=0.75)
    ask: float = Field(default=1.0, gt=0, le=1)
    asked: Literal["random", "next", "seen", "all", "sample"] = "random"

    @model_validator(mode="before")
    @classmethod
    def _ratio_is_a_budget(cls, fields: Any) -> Any:
        """``mask.ratio=0.6`` says the same as ``mask.budget={kind: ratio, ratio: 0.6}``."""
        if isinstance(fields, dict) and "ratio" in fields:
            fields = dict(fields)
            fields["budget"] = {"kind": "ratio", "ratio": fields.pop("ratio")}
        return fields

    @model_validator(mode="after")
    def _asks_a_part_of_the_hidden(self) -> Mask:
        if self.ask < 1 and self.asked in ("seen", "all", "sample"):
            raise ValueError(
                f"ask is a fraction of the hidden tokens: with asked={self.asked} it must be 1, "
                f"found {self.ask}"
            )
        return self

    @property
    def asks_hidden(self) -> bool:
        """Whether hidden tokens are asked for."""
        return self.asked not in ("seen", "sample")

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
        hidden = Roles(see, of_see, hide, of_hide, hide, of_hide)
        if self.asked in ("seen", "all", "sample"):
            rows, of_rows = hidden.in_scope(self.asked)
            return replace(hidden, ask=rows, of_ask=of_rows)
        if self.ask == 1:
            return hidden
        budget = torch.ceil(of_hide.lengths.double() * self.ask - 1e-9).long()
        order = noise(packed, of_hide, "ask") if self.asked == "random" else order[hide]
        chosen = select(order, of_hide, budget)
        return replace(hidden, ask=hide[chosen], of_ask=Segments.of_lengths(budget))

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
