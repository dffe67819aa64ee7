"""Corruption: what the encoder gets in place of a hidden token.

Shapes: S seen, H hidden, T tokens, D width, P coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anymae.kernels.segments import Segments
from anymae.masks import Roles
from anymae.parts import Part


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


class Corruption(Part, slot="corruption"):
    """A part that makes a module ``forward(seen, positions, roles, total) -> Input``."""

    @property
    def keeps_hidden(self) -> bool:
        """Whether hidden tokens have a row in the encoder."""
        raise NotImplementedError

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
        segments = Segments(roles.of_see.offsets + roles.of_hide.offsets)
        everything = torch.arange(len(x), device=x.device)
        return Input(x, segments, everything, roles.ask, roles.see)
