"""Edges that are hidden, while every token stays.

Shapes: E edges.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from anymae import draws
from anymae.corruption.altering import Alter
from anymae.masks import Roles
from anymae.tokens import Packed


class HideEdges(Alter, kind="hide-edges"):
    """Every token enters as it is, but about a ``ratio`` of the edges is hidden, both directions of
    an edge together, each by a coin of its own (MaskGAE's edge masking, Li et al. 2023)."""

    needs: ClassVar[frozenset[str]] = frozenset({"edges"})

    ratio: float = Field(default=0.7, ge=0, lt=1)

    def values(self, packed: Packed, roles: Roles, shape: tuple[int, ...] = ()) -> Packed:
        return packed

    def hidden_edges(self, packed: Packed) -> Tensor | None:
        if packed.edges is None or not self.ratio:
            return None
        pairs = packed.edges.pairs
        owner, place = packed.segments.ids(packed.device), packed.segments.within(packed.device)
        low, high = place[pairs].amin(0), place[pairs].amax(0)
        keys = packed.drawing_keys[owner[pairs[0]]]
        return draws.uniform(keys, (low << 32) + high, "corruption/edge") < self.ratio
