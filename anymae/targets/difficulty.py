"""Difficulty: how far the main goal's own answer is off, to be foreseen.

Shapes: A asked tokens.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.losses import Loss, RankLoss
from anymae.targets.target import Scene, Target
from anymae.tokens import Packed


class Difficulty(Target, kind="difficulty"):
    """The loss of the main goal for each asked token, one number without gradient (HPM, Wang et al.
    2023). For a further goal with ``scope=asked``; ``mask.priority=difficulty`` asks what it says.

    With ``loss=rank``, tokens are compared with those of their own sample.
    """

    copied: ClassVar[bool] = True

    def width(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> int:
        return 1

    def of(self, adapter: Adapter, asked: Packed, scene: Scene | None = None) -> Tensor:
        if scene is None or scene.losses is None:
            raise BadConfig("target=difficulty needs the losses of another goal")
        return scene.losses[:, None].float()

    def score(
        self, adapter: Adapter, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed
    ) -> Tensor:
        if isinstance(loss, RankLoss):
            return loss.within(prediction, target, asked.segments)
        return loss.per_token(prediction, target)
