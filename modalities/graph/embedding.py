"""The embedding of nodes: features left out in training, and numbers that are not known.

Shapes: B samples, T tokens, F numbers a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymae import draws
from anymae.tokens import OBSERVED, Packed


class NodeEmbedding(nn.Module):
    """A linear map of nodes' numbers: ``forward(packed)`` gives (T, width).

    ``missing``: it is told which numbers are known, and reads those only. ``dropout``: in training
    it does not see this fraction of the features, others in each graph and step, and the rest is
    scaled up (as GRACE masks features, Zhu et al. 2020); what is predicted stays whole.
    """

    def __init__(self, token_dim: int, width: int, missing: bool, dropout: float) -> None:
        super().__init__()
        self.missing, self.dropout = missing, dropout
        self.project = nn.Linear((1 + missing) * token_dim, width)

    def forward(self, visible: Packed) -> Tensor:
        x = visible.values
        shown = visible.side[OBSERVED].to(x.dtype) if self.missing else None
        if self.training and self.dropout:
            kept = self._kept(visible).to(x.dtype)
            x = x * (kept / (1 - self.dropout))
            shown = None if shown is None else shown * kept
        return self.project(x if shown is None else torch.cat([x * shown, shown], 1))

    def _kept(self, visible: Packed) -> Tensor:
        """(T, F) bool: the features that each node's graph shows."""
        columns = torch.arange(visible.values.shape[1], device=visible.device)
        coins = draws.uniform(visible.drawing_keys[:, None], columns, "feature-dropout")
        kept = coins >= self.dropout
        return kept if len(kept) == 1 else kept[visible.segments.ids(visible.device)]
