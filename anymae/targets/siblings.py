"""Siblings: which rows are views of one sample.

Shapes: A asked rows, one of each sample.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.targets.target import Scene, Target
from anymae.tokens import Packed


class Siblings(Target, kind="siblings"):
    """The number of a sample in the batch, the same for all its views, for ``loss=alike``, which
    compares answers of ``size`` numbers: what is asked is who is who, not the number."""

    size: int = Field(default=128, gt=0)

    @property
    def of_samples(self) -> bool:
        return True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return self.size

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None:
            raise BadConfig(f"target={self.kind} needs the batch")
        samples = len(scene.packed) // scene.packed.views
        return (scene.owners % samples)[:, None]
