"""Recipe: a published masked method as one choice per slot, and nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from anymae.adapter import Adapter
from anymae.config import TrainingConfig
from anymae.corruption import Corruption, Drop
from anymae.decoders import Decoder, SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import Loss, SquaredLoss
from anymae.masks import Mask
from anymae.parts import Part
from anymae.positions import Position, SinCosPosition
from anymae.targets import Content, Difficulty, Target
from anymae.teachers import NoTeacher, Teacher

SLOTS = ("views", "position", "mask", "corruption", "decoder", "target", "loss", "teacher", "also")


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
        return frozenset().union(*(part.needs for part in self._all_parts()))

    @property
    def works_with(self) -> tuple[str, ...]:
        """Names of the registered modalities this recipe runs on (imports their adapters)."""
        from anymae.registry import modalities

        return tuple(
            name for name, adapter in modalities().items() if self.needs <= adapter.provides
        )

    def check(self, adapter: Adapter, encoder: EncoderConfig | None = None) -> None:
        """Raise ``IncompatibleRecipe`` if the parts do not fit each other or the modality."""
        for part in self._all_parts():
            for need in sorted(part.needs - adapter.provides):
                raise IncompatibleRecipe(
                    f"recipe {self.name!r}: {part.slot}={part.kind} needs {need}, which the "
                    f"{adapter.name} modality does not have"
                )
        asks_hidden = self.mask.asks_hidden and self.decoder.reads_hidden_rows
        if asks_hidden and not self.corruption.keeps_hidden:
            raise IncompatibleRecipe(
                f"recipe {self.name!r}: decoder={self.decoder.kind} reads hidden tokens from the "
                f"encoder, but corruption={self.corruption.kind} leaves them out",
                hint="Use corruption=mask-token, or decoder=self.",
            )
        looker = None if encoder is None else self.teacher.looker(adapter, encoder)
        if self.mask.priority.needs_cls and looker is not None and not looker.cls:
            raise IncompatibleRecipe(
                f"recipe {self.name!r}: mask.priority={self.mask.priority.kind} needs a class "
                f"token, which the {adapter.name} modality's encoder does not have here",
                hint="Set encoder.cls=true.",
            )
        self._check_samples(adapter)
        for goal in self.also:
            asks = self.mask.asks_hidden if goal.scope == "asked" else goal.scope == "all"
            hidden = asks and goal.decoder.reads_hidden_rows
            if hidden and not self.corruption.keeps_hidden:
                raise IncompatibleRecipe(
                    f"recipe {self.name!r}: a goal with decoder={goal.decoder.kind} and "
                    f"scope={goal.scope} reads hidden tokens from the encoder, but "
                    f"corruption={self.corruption.kind} leaves them out",
                    hint="Use scope=seen, or corruption=mask-token.",
                )

        for target in (self.target, *(goal.target for goal in self.also)):
            if target.needs_head and not self.teacher.has_heads:
                raise IncompatibleRecipe(
                    f"recipe {self.name!r}: target={target.kind} needs a teacher with a copy of "
                    "the student's head, and a pretrained model has none",
                    hint="Use teacher=ema; or target=prototypes, whose codewords follow any "
                    "teacher.",
                )
        self._check_difficulty()

    def _check_samples(self, adapter: Adapter) -> None:
        """Questions about whole samples have answers and targets of whole samples."""
        main = "sample" if self.mask.asked == "sample" else "asked"
        every = [(main, self.decoder, self.target)]
        every += [(goal.scope, goal.decoder, goal.target) for goal in self.also]
        for scope, decoder, target in every:
            of_sample = scope == "sample" or (scope == "asked" and main == "sample")
            if (decoder.of_samples, target.of_samples) != (of_sample, of_sample):
                asked = "a whole sample" if of_sample else "each token"
                raise IncompatibleRecipe(
                    f"recipe {self.name!r} asks for {asked}, which needs a decoder and a target of "
                    f"{asked}",
                    found=f"decoder={decoder.kind}, target={target.kind}",
                    hint="Use decoder=pool and target=pooled with mask.asked=sample or "
                    "scope=sample, and neither without.",
                )

    def _check_difficulty(self) -> None:
        """Who foresees losses needs them, and who hides by difficulty needs one who foresees it."""
        judges = [goal for goal in self.also if isinstance(goal.target, Difficulty)]
        misplaced = any(goal.scope != "asked" for goal in judges)
        if misplaced or isinstance(self.target, Difficulty):
            raise IncompatibleRecipe(
                f"recipe {self.name!r}: target=difficulty needs the losses of the main goal",
                hint="Put it into a further goal (also) with scope=asked.",
            )
        if self.mask.priority.needs_difficulty and not judges:
            raise IncompatibleRecipe(
                f"recipe {self.name!r}: mask.priority={self.mask.priority.kind} needs a goal that "
                "foresees the losses of tokens",
                hint="Add one with target=difficulty and loss=rank to also.",
            )

    def _all_parts(self) -> list[Part]:
        mask = self.mask
        return [
            self.position, mask.priority, mask.groups, mask.budget,
            self.corruption, self.decoder, self.target, self.loss, self.teacher,
            *(part for goal in self.also for part in (goal.decoder, goal.target, goal.loss)),
        ]  # fmt: skip
