"""Teachers: who else looks at the data, and how they change while the student learns.

A teacher is a copy of the student's embedding, positions and encoder that receives no gradient. It
exists while a model trains; without one, the student's own weights stand in.

Shapes: B samples, T tokens, D width.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.encoder import Latents
from anymae.parts import Part
from anymae.tokens import Packed


class Teacher(Part, slot="teacher"):
    """A part that makes a teacher of a student, or none."""

    def build(self, student: Any) -> TeacherNet | None:
        """A teacher of a ``Model``; None: the student's own weights are used."""
        raise NotImplementedError

    def follow(self, teacher: TeacherNet, student: Any, done: float, before: float) -> None:
        """Change after an optimiser update that brought the run from a fraction ``before`` to
        ``done`` (0 to 1)."""


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
        theirs = teacher.counterparts(student)
        torch._foreach_lerp_(list(teacher.parameters()), theirs, 1 - keep)


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


class TeacherNet(nn.Module):
    """A copy of a student's embedding, positions and encoder: ``forward(packed, taps)``; and of its
    goals that foresee difficulty, in ``also`` as in the student."""

    def __init__(self, student: Any) -> None:
        super().__init__()
        self.embedding = copy.deepcopy(student.embedding)
        self.position = copy.deepcopy(student.position)
        self.encoder = copy.deepcopy(student.encoder)
        self.also = copy.deepcopy(nn.ModuleDict(student.judges))
        self.requires_grad_(False)

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
