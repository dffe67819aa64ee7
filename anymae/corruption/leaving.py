"""Corruptions that take content away: hidden tokens are not there, or are one learned vector.

Shapes: S seen, H hidden, T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae.corruption.corruption import Corruption, Input
from anymae.masks import Roles


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
        everything = torch.arange(len(x), device=x.device)
        return Input(x, roles.of_all, everything, roles.ask, roles.see)
