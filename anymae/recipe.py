"""Recipe: a published masked method as one choice per slot, and nothing else."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from anymae.adapter import Adapter
from anymae.config import TrainingConfig
from anymae.corruption import Corruption, Drop
from anymae.decoders import Decoder, SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.goals import Goal
from anymae.losses import Loss, SquaredLoss
from anymae.masks import Mask
from anymae.parts import Part
from anymae.positions import Position, SinCosPosition
from anymae.targets import Content, Target
from anymae.teachers import NoTeacher, Teacher

SLOTS = (
    "settings", "views", "position", "mask", "corruption", "decoder", "target", "loss", "teacher",
    "also",
)  # fmt: skip


class Recipe(BaseModel):
    """A method: its slots default to MAE's, so a recipe states only what differs.

    ``paper`` is its reference, ``year`` its publication, ``differs`` what this implementation
    does otherwise than the paper, ``verified`` whether its facts were checked at the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    paper: str
    year: int
    summary: str
    differs: str = ""
    verified: bool = True

    settings: dict[str, Any] = Field(default_factory=dict)
    """What the method wants of the modality's options and of the encoder, by dotted names, e.g.
    ``{"adapter.patch_size": 1, "encoder.cls": False}``. A user's word overrides it."""
    views: int = Field(default=1, ge=1)
    """Masks of each sample in one step; a teacher looks at the whole sample once for all. Batches
    count samples: the student's work in a step grows with this."""
    position: Position = SinCosPosition()
    mask: Mask = Mask()
    corruption: Corruption = Drop()
    decoder: Decoder = SelfDecoder()
    target: Target = Content()
    loss: Loss = SquaredLoss()
    teacher: Teacher = NoTeacher()
    also: tuple[Goal, ...] = ()
    """Further goals, beside the one that decoder, target and loss make."""
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @field_validator("settings")
    @classmethod
    def _of_adapter_or_encoder(cls, settings: dict[str, Any]) -> dict[str, Any]:
        for key in settings:
            if not key.startswith(("adapter.", "encoder.")):
                raise ValueError(f"{key} must begin with adapter. or encoder.")
        return settings

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # settings are a mapping, which has none

    @property
    def parts(self) -> dict[str, Any]:
        """The choice in each slot, by slot name."""
        return {slot: getattr(self, slot) for slot in SLOTS}

    @property
    def tapped(self) -> tuple[Goal, ...]:
        """The goals that read the encoder before its end."""
        return tuple(goal for goal in self.also if goal.tap != -1)

    @property
    def needs(self) -> frozenset[str]:
        """What the parts need a modality to provide, e.g. a grid."""
        return frozenset().union(*(part.needs for part in self.all_parts()))

    @property
    def works_with(self) -> tuple[str, ...]:
        """Names of the registered modalities this recipe runs on (imports their adapters)."""
        from anymae.compatibility import unfit_option
        from anymae.registry import modalities

        return tuple(
            name
            for name, adapter in modalities().items()
            if self.needs <= adapter.provides and unfit_option(self, adapter) is None
        )

    def wanted(self, of: Literal["adapter", "encoder"]) -> dict[str, Any]:
        """The settings of one of the two, by plain names."""
        prefix = f"{of}."
        return {k.removeprefix(prefix): v for k, v in self.settings.items() if k.startswith(prefix)}

    def check(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> None:
        """Raise ``IncompatibleRecipe`` if the parts do not fit each other or the modality."""
        from anymae.compatibility import check  # which names recipes

        check(self, adapter, encoder)

    def all_parts(self) -> list[Part]:
        """Every part, those of the mask and of further goals included."""
        mask = self.mask
        return [
            self.position, mask.priority, mask.groups, mask.budget,
            self.corruption, self.decoder, self.target, self.loss, self.teacher,
            *(part for goal in self.also for part in (goal.decoder, goal.target, goal.loss)),
        ]  # fmt: skip
