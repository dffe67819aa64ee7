"""The embedding of nodes some of whose numbers are not known.

Shapes: T tokens, F numbers a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae.tokens import OBSERVED, Packed


class MaskedEmbedding(nn.Module):
    """A linear map of the known numbers and of which they are: ``forward(packed)`` gives
    (T, width)."""

    def __init__(self, token_dim: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * token_dim, width)

    def forward(self, visible: Packed) -> Tensor:
        known = visible.side[OBSERVED].to(visible.values.dtype)
        return self.project(torch.cat([visible.values * known, known], 1))
