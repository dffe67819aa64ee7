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

    def values(self, packed: Packed, roles: Roles, shape: tuple[int, ...] = ()) -> Packed | None:
        """The batch with other content where it is hidden, all of which the encoder sees; None if
        hidden tokens have no content. ``shape`` is a token's (see ``Adapter.token_shape``)."""
        return None

    def hidden_edges(self, packed: Packed) -> Tensor | None:
        """(E,) bool: the edges that the encoder does not see; None if it sees all between the
        tokens it sees."""
        return None

    def build(self, width: int) -> nn.Module:
        raise NotImplementedError
