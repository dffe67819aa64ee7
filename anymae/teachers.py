"""Teachers: who else looks at the data, and how they change while the student learns.

A teacher is a copy of the embedding, positions and encoder of the student, or of a model that was
trained before, and receives no gradient. It exists while a model trains; without one, the student's
own weights stand in.

Shapes: B samples, T tokens, D width.
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig, Latents
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.parts import Part
from anymae.tokens import Packed


class Teacher(Part, slot="teacher"):
    """A part that makes a teacher of a student, or none."""

    has_heads: ClassVar[bool] = True
    """Whether it answers with copies of the student's heads (or the student's own)."""

    def build(self, student: Any) -> TeacherNet | None:
        """A teacher of a ``Model``; None: the student's own weights are used."""
        raise NotImplementedError

    def follow(self, teacher: TeacherNet, student: Any, done: float, before: float) -> None:
        """Change after an optimiser update that brought the run from a fraction ``before`` to
        ``done`` (0 to 1)."""

    def fitted(self, adapter: Adapter) -> Teacher:
        """A teacher completed by what a look at its files tells; called once, before training."""
        return self

    def looker(self, adapter: Adapter, student: EncoderConfig) -> EncoderConfig:
        """The configuration of the teacher's encoder. Raises ``IncompatibleRecipe``."""
        return student

    def stand_in(self, student: Any, packed: Packed, taps: tuple[int, ...]) -> Latents:
        """What is looked at in the teacher's place where it is gone: the student's own latents."""
        return encode(student, packed, taps)


class NoTeacher(Teacher, kind="none"):
    """The student's own weights, without gradient."""

    def build(self, student: Any) -> None:
        return None


class EmaTeacher(Teacher, kind="ema"):
    """An exponential moving average of the student: t <- m t + (1 - m) s after every update, m from
    ``start`` to ``end`` along half a cosine (Grill et al. 2020)."""

    start: float = Field(default=0.996, ge=0, le=1)
    end: float = Field(default=1.0, ge=0, le=1)

    def build(self, student: Any) -> TeacherNet:
        return TeacherNet(student)

    @torch.no_grad()
    def follow(self, teacher: TeacherNet, student: Any, done: float, before: float) -> None:
        keep = self.end - (self.end - self.start) * (1 + math.cos(math.pi * done)) / 2
        # One by one: sharded and whole tensors cannot be moved in one go.
        for mine, theirs in zip(teacher.parameters(), teacher.counterparts(student), strict=True):
            mine.lerp_(theirs, 1 - keep)


class StillTeacher(Teacher, kind="still"):
    """The student as it was before training: random features (a fixed random target)."""

    def build(self, student: Any) -> TeacherNet:
        return TeacherNet(student)


class StagedTeacher(Teacher, kind="staged"):
    """``stages`` equal parts of a run: where one ends, the student becomes the teacher and is drawn
    anew itself; the first teacher is random (dBOT, Liu et al. 2022)."""

    stages: int = Field(default=2, ge=1)

    def build(self, student: Any) -> TeacherNet:
        return TeacherNet(student)

    @torch.no_grad()
    def follow(self, teacher: TeacherNet, student: Any, done: float, before: float) -> None:
        stage = math.floor(done * self.stages + 1e-9)
        if stage == math.floor(before * self.stages + 1e-9) or stage >= self.stages:
            return
        for mine, theirs in zip(teacher.parameters(), teacher.counterparts(student), strict=True):
            mine.copy_(theirs)
        anew = type(student)(student.adapter, student.recipe, student.encoder.config, seed=stage)
        fresh = dict(anew.named_parameters())
        for name, parameter in student.named_parameters():
            if name in fresh:
                parameter.copy_(fresh[name])


class GivenTeacher(Teacher, kind="given"):
    """A pretrained model that stays as it is: the run or model folder (or hub id) at ``path``, of
    the same modality and the same tokens as the student, of any width and depth.

    ``encoder`` is its configuration, read from there when a run starts and kept, so that the
    student can be loaded without it.
    """

    has_heads: ClassVar[bool] = False

    path: str | None = None
    encoder: EncoderConfig | None = None

    def fitted(self, adapter: Adapter) -> Teacher:
        if self.path is None or self.encoder is not None:
            return self
        found = self._model(adapter).encoder.config
        return self.model_copy(update={"encoder": found})

    def looker(self, adapter: Adapter, student: EncoderConfig) -> EncoderConfig:
        if self.path is None:
            raise IncompatibleRecipe(
                f"teacher=given needs a path to a pretrained model of the {adapter.name} modality",
                hint="Set teacher.path to its folder, e.g. teacher.path=runs/first.",
            )
        if self.encoder is None:
            raise BadConfig(
                "teacher=given has not looked at its model yet",
                where=self.path,
                hint="Build the student with teacher.fitted(adapter) in its recipe.",
            )
        return self.encoder

    def build(self, student: Any) -> TeacherNet:
        found = self._model(student.adapter)
        if found.encoder.config != self.encoder:
            raise BadConfig(
                "the teacher's folder holds another model than when the run started",
                where=self.path,
                found=found.encoder.config,
                expected=self.encoder,
            )
        return TeacherNet(found)

    def stand_in(self, student: Any, packed: Packed, taps: tuple[int, ...]) -> Latents:
        raise BadConfig(
            "a teacher that was given is there while a model trains, not after it",
            where=self.path,
            hint="Features, reconstructions and fine-tuning need none.",
        )

    def _model(self, adapter: Adapter) -> Any:
        """The model at ``path``. Raises ``IncompatibleRecipe`` unless its tokens are ``adapter``'s,
        ``CheckpointError``."""
        from anymae.storage import load  # which builds models, and those know teachers

        model = load(str(self.path))
        if model.modality != adapter.name:
            raise IncompatibleRecipe(
                "the teacher is of another modality",
                where=self.path,
                found=model.modality,
                expected=adapter.name,
            )
        theirs, mine = (one.model_dump(mode="json") for one in (model.adapter, adapter))
        for field, value in mine.items():
            if theirs[field] != value:
                raise IncompatibleRecipe(
                    f"the teacher's tokens have another {field}",
                    where=self.path,
                    found=f"{theirs[field]!r:.80}",
                    expected=f"{value!r:.80}",
                    hint=f"Give the teacher's own adapter as modality: "
                    f"anymae.load({str(self.path)!r}).adapter.",
                )
        return model


class TeacherNet(nn.Module):
    """A copy of a model's embedding, positions and encoder: ``forward(packed, taps)``; and of its
    goals that teachers are asked themselves: further ones in ``also``, and the main one's ``head``,
    as in the model."""

    def __init__(self, student: Any) -> None:
        super().__init__()
        self.embedding = copy.deepcopy(student.embedding)
        self.position = copy.deepcopy(student.position)
        self.encoder = copy.deepcopy(student.encoder)
        self.head = copy.deepcopy(student.head) if student.recipe.target.copied else None
        self.also = copy.deepcopy(nn.ModuleDict(student.copied))
        self.requires_grad_(False)
        self.eval()

    def head_of(self, number: int) -> nn.Module | None:
        """Its copy of the head of a goal (the main one is 0), if it keeps one."""
        if number == 0:
            return self.head
        place = str(number - 1)
        return cast(nn.Module, self.also[place].head) if place in self.also else None

    def counterparts(self, student: Any) -> list[Tensor]:
        """The student's parameters, in the order of this module's."""
        theirs = dict(student.named_parameters())
        return [theirs[name].detach() for name, _ in self.named_parameters()]

    def train(self, mode: bool = True) -> TeacherNet:
        """A teacher is never in training mode: no drop path."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, packed: Packed, taps: tuple[int, ...] = ()) -> Latents:
        return encode(self, packed, taps)


def encode(net: Any, packed: Packed, taps: tuple[int, ...] = ()) -> Latents:
    """Every token of a batch through a net's embedding, positions and encoder."""
    x = net.embedding(packed) + net.position(packed.coords)
    return net.encoder(
        x, packed.segments, packed.coords, packed.keys, taps=taps, edges=packed.edges
    )
