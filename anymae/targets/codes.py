"""Codes: which of a few typical contents a hidden token is nearest to.

Shapes: A asked tokens, T tokens, F numbers a token, K codes.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.targets.target import Look, Scene, Target
from anymae.tokens import Packed


class Codes(Target, kind="codes"):
    """One of ``codes`` k-means centroids of content, learned from the first batches of a run before
    it starts, as a one-hot vector for ``loss=cross-entropy``. With ``centred`` each token's mean
    is taken off first, so that codes say shape rather than level (after CCViT, whose tokenizer is
    k-means on patches)."""

    codes: int = Field(default=256, ge=2)
    centred: bool = True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return self.codes

    def state(self, adapter: Adapter, encoder: EncoderConfig) -> Codebook:
        return Codebook(self.codes, adapter.token_dim)

    def prepare(
        self, state: nn.Module, adapter: Adapter, packed: Packed, look: Look, seed: int
    ) -> None:
        content = self._content(adapter, packed)
        refuse_few(len(content), self.codes, self.kind)
        with torch.no_grad():
            cast(Codebook, state).centres.copy_(k_means(content, self.codes, seed))

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.state is None:
            raise BadConfig("target=codes needs a codebook")
        centres = cast(Codebook, scene.state).centres
        nearest = torch.cdist(self._content(adapter, asked), centres).argmin(1)
        return F.one_hot(nearest, self.codes).float()

    def as_prediction(self, adapter: Adapter, target: Tensor, asked: Packed) -> Tensor:
        return logits_of(target)

    def _content(self, adapter: Adapter, packed: Packed) -> Tensor:
        content = adapter.target(packed).detach().float()
        return content - content.mean(1, keepdim=True) if self.centred else content


def k_means(x: Tensor, codes: int, seed: int) -> Tensor:
    """(codes, F) centroids of x (N, F)."""
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(codes, random_state=seed, n_init=3, batch_size=4096)
    return torch.from_numpy(found.fit(x.cpu().numpy()).cluster_centers_).to(x.device)


def refuse_few(tokens: int, codes: int, kind: str) -> None:
    """Raise ``BadConfig`` if the first batches have fewer tokens than there are to be codes."""
    if tokens < codes:
        raise BadConfig(
            f"target={kind}: fewer tokens than codes in the first batches",
            found=f"{tokens} tokens",
            expected=f"at least {codes}",
            hint="Lower target.codes.",
        )


def logits_of(shares: Tensor, doubt: float = 0.1) -> Tensor:
    """Logits that say how often each of K codes (last axis) occurs, of which a share ``doubt`` is
    spread evenly: a code that was never met is not impossible."""
    return torch.log((1 - doubt) * shares + doubt / shares.shape[-1])


class Codebook(nn.Module):
    """``centres`` (K, F), saved with the model."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.centres: Tensor
        self.register_buffer("centres", torch.zeros(codes, width))
