"""Corruption: what the encoder gets in place of a hidden token.

Shapes: S seen, H hidden, T tokens, D width, P coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from anymae import draws
from anymae.kernels.segments import Segments
from anymae.masks import Roles
from anymae.parts import Part
from anymae.tokens import Packed


@dataclass(frozen=True)
class Input:
    """What enters the encoder: ``x`` (T', D), cut by ``segments``; ``index`` (T',) are the packed
    tokens they stand for, ``ask`` (A,) the rows that stand for asked tokens, if any do, and
    ``see`` (S,) those that stand for seen ones (None: all)."""

    x: Tensor
    segments: Segments
    index: Tensor
    ask: Tensor | None = None
    see: Tensor | None = None

    def rows_of(self, places: Tensor) -> Tensor | None:
        """The rows that stand for these packed tokens; None unless every one has a row."""
        rows = torch.searchsorted(self.index, places)
        found = self.index[rows.clamp(max=len(self.index) - 1)] == places
        return rows if bool(found.all()) else None


class Corruption(Part, slot="corruption"):
    """A part that makes a module ``forward(seen, positions, roles, total) -> Input``."""

    @property
    def keeps_hidden(self) -> bool:
        """Whether hidden tokens have a row in the encoder."""
        raise NotImplementedError

    def values(self, packed: Packed, roles: Roles) -> Packed | None:
        """The batch with other content where it is hidden, all of which the encoder sees; None if
        hidden tokens have no content."""
        return None

    def build(self, width: int) -> nn.Module:
        raise NotImplementedError


class Drop(Corruption, kind="drop"):
    """Hidden tokens are not there: the encoder computes on visible ones only (MAE)."""

    @property
    def keeps_hidden(self) -> bool:
        return False

    def build(self, width: int) -> nn.Module:
        return _Drop()


class MaskToken(Corruption, kind="mask-token"):
    """Hidden tokens enter the encoder as one learned vector plus their position (SimMIM)."""

    @property
    def keeps_hidden(self) -> bool:
        return True

    def build(self, width: int) -> nn.Module:
        return _MaskToken(width)


class Replace(Corruption, kind="replace"):
    """Hidden tokens enter with content that is not theirs, and nothing says which they are.

    ``by="zeros"`` and ``"noise"`` (of the batch's own mean and deviation, number by number) make
    it up; ``"other"`` takes it from a random token anywhere in the batch, ``"place"`` from the
    token at the same place of the next sample, or any if it has none there (VIME's and SCARF's
    draw from the marginal of a column; GMML's other image). Draws are functions of keys, but
    content then depends on who else is in the batch.
    """

    by: Literal["zeros", "noise", "other", "place"] = "noise"

    @property
    def keeps_hidden(self) -> bool:
        return True

    def values(self, packed: Packed, roles: Roles) -> Packed:
        hide = roles.hide
        side = dict(packed.side)
        values = packed.values.clone()
        if self.by in ("other", "place"):
            source = self._donors(packed, hide)
            values[hide] = packed.values[source]
            for name, tensor in packed.side.items():
                side[name] = tensor.index_copy(0, hide, tensor[source])
        else:
            values[hide] = self._made_up(packed, roles)
        return replace(packed, values=values, side=side, views=1)

    def _made_up(self, packed: Packed, roles: Roles) -> Tensor:
        seen = packed.values[roles.see]
        like = packed.values[roles.hide]
        if self.by == "zeros":
            return torch.zeros_like(like)
        owner = packed.segments.ids(packed.device)[roles.hide]
        keys = packed.drawing_keys[owner][:, None]
        width = torch.arange(like.shape[1], device=like.device)
        place = packed.segments.within(packed.device)[roles.hide][:, None] * like.shape[1] + width
        coin = draws.normal(keys, place, "corruption/noise").to(like.dtype)
        return seen.mean(0) + seen.std(0, correction=0) * coin

    def _donors(self, packed: Packed, hide: Tensor) -> Tensor:
        """(H,) the packed token whose content each hidden one gets."""
        owner = packed.segments.ids(packed.device)
        within = packed.segments.within(packed.device)
        coin = draws.uniform(packed.drawing_keys[owner[hide]], within[hide], "corruption/donor")
        anyone = (coin * packed.segments.total).long().clamp(max=packed.segments.total - 1)
        if self.by == "other":
            return anyone
        after = (owner[hide] + 1) % len(packed)
        lengths = packed.segments.lengths.to(packed.device)
        starts = packed.offsets[:-1].to(packed.device)
        there = starts[after] + within[hide].clamp(max=lengths[after] - 1)
        same = (packed.coords[there] == packed.coords[hide]).all(1)
        return torch.where(same, there, anyone)

    def build(self, width: int) -> nn.Module:
        return _Replace()


class _Replace(nn.Module):
    def forward(self, everything: Tensor, hidden_positions: None, roles: Roles) -> Input:
        index = torch.arange(len(everything), device=everything.device)
        return Input(everything, roles.of_all, index, roles.ask, roles.see)


class _Drop(nn.Module):
    def forward(self, seen: Tensor, hidden_positions: None, roles: Roles) -> Input:
        return Input(seen, roles.of_see, roles.see)


class _MaskToken(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.token, std=0.02)

    def forward(self, seen: Tensor, hidden_positions: Tensor, roles: Roles) -> Input:
        """seen (S, D) and hidden_positions (H, D) are merged back into packed order."""
        hidden = hidden_positions + self.token
        order = torch.cat([roles.see, roles.hide]).argsort()
        x = torch.cat([seen, hidden.to(seen.dtype)]).index_select(0, order)
        everything = torch.arange(len(x), device=x.device)
        return Input(x, roles.of_all, everything, roles.ask, roles.see)
