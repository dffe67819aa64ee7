"""Links: which tokens of a graph have an edge that was hidden, and which have none.

Shapes: T tokens, E directed edges, K pairs of a kind for each token, D numbers of an answer.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae import draws
from anymae.adapter import Adapter, LinearHead
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.losses import Loss
from anymae.targets.target import Scene, Target
from anymae.tokens import Edges, Packed

TRIES = 4
"""How often a token that is no neighbour is looked for."""


class Links(Target, kind="links"):
    """For each token, ``pairs`` of its hidden edges, drawn with replacement, and as many tokens of
    its sample with which it shares no edge at all, for ``loss=binary`` (MaskGAE, Li et al. 2023;
    with no edge hidden, all are asked: the graph autoencoder of Kipf and Welling 2016).

    An answer is ``numbers`` long, and the logit of a pair the product of both answers over the root
    of their length. A target holds the other tokens' places in the batch, hidden neighbours first,
    -1 for none; a token without hidden edges is not scored. Needs ``mask.asked=all``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"edges"})
    asks_all: ClassVar[bool] = True

    pairs: int = Field(default=4, ge=1)
    numbers: int = Field(default=64, ge=1)

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return self.numbers

    def head(self, adapter: Adapter, width: int, encoder: EncoderConfig) -> nn.Module:
        return LinearHead(width, self.numbers)

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.packed.edges is None:
            raise BadConfig("target=links needs tokens that have edges")
        edges, packed = scene.packed.edges, scene.packed
        hidden = edges if scene.hidden_edges is None else edges.at(scene.hidden_edges)
        near = self._neighbours(packed, hidden)
        far = self._strangers(packed, edges).masked_fill(near < 0, -1)
        return torch.cat([near, far], 1).float()

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        said, target = prediction.float(), target.long()
        logits = (said[:, None] * said[target.clamp(min=0)]).sum(2) * self.numbers**-0.5
        linked = torch.zeros_like(logits)
        linked[:, : self.pairs] = 1.0
        return loss.per_token(logits, linked, target >= 0)

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        """Nothing is known of anybody: each pair is as likely as not."""
        return torch.zeros(len(target), self.numbers, device=target.device)

    def _neighbours(self, packed: Packed, hidden: Edges) -> Tensor:
        """(T, K) ends of drawn hidden edges that begin at each token."""
        source, to = hidden.pairs
        order = source.argsort(stable=True)
        count = torch.bincount(source, minlength=packed.segments.total)
        begin = count.cumsum(0) - count
        coin = self._coins(packed, self.pairs, "links/near")
        which = begin[:, None] + (coin * count[:, None]).long()
        if not len(to):
            return torch.full_like(which, -1)
        return torch.where(count[:, None] > 0, to[order][which.clamp(max=len(to) - 1)], -1)

    def _strangers(self, packed: Packed, edges: Edges) -> Tensor:
        """(T, K) tokens of the same sample that share no edge with each; -1 where none is found."""
        total = packed.segments.total
        owner = packed.segments.ids(packed.device)
        start = packed.offsets[:-1].to(packed.device)[owner, None]
        length = packed.segments.lengths.to(packed.device)[owner, None]
        coin = self._coins(packed, TRIES * self.pairs, "links/far")
        tried = start + (coin * length).long().minimum(length - 1)
        me = torch.arange(total, device=packed.device)[:, None]
        source, to = edges.pairs
        known = torch.cat([source * total + to, to * total + source])
        free = ~torch.isin(me * total + tried, known) & (tried != me)
        free, tried = (x.view(total, self.pairs, TRIES) for x in (free, tried))
        first = tried.gather(2, free.long().argmax(2, keepdim=True))[..., 0]
        return torch.where(free.any(2), first, -1)

    def _coins(self, packed: Packed, count: int, purpose: str) -> Tensor:
        """(T, count) uniform numbers."""
        owner, place = packed.segments.ids(packed.device), packed.segments.within(packed.device)
        counter = place[:, None] * count + torch.arange(count, device=packed.device)
        return draws.uniform(packed.drawing_keys[owner, None], counter, purpose)
