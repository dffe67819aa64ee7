"""Pooled features: what a teacher makes of a whole sample, as one vector.

Shapes: B samples, A asked rows, D the teacher's width.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.pooling import parsed
from anymae.targets.target import Scene, Target
from anymae.tokens import Packed


class PooledFeatures(Target, kind="pooled"):
    """The teacher's final features of a sample it sees whole, pooled as in ``anymae.pooling``. For
    questions about samples, answered by ``decoder=pool``; a token's is that of its sample."""

    pool: Literal["cls", "mean", "max"] = "mean"

    @property
    def of_samples(self) -> bool:
        return True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        if encoder is None:
            raise BadConfig(f"target={self.kind} needs an encoder")
        parsed(self.pool, encoder)
        return encoder.width

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None:
            raise BadConfig(f"target={self.kind} needs a teacher to look at the batch")
        return scene.pooled(self.pool).index_select(0, scene.owners)
