"""Settings an import needs: given by the caller, told by the source, or assumed and said so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from anymae.errors import BadConfig, CheckpointError

ValueT = TypeVar("ValueT")
Statistics = tuple[float, ...]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of images from 0 to 255."""
NARROW_OR_WIDE = {1152: 16, 1280: 16, 1408: 16, 1664: 16}
"""Heads by width of published encoders (so400m, huge, giant, gigantic) that are not 64 a head."""
DECODER_HEADS = {512: 16}
"""Heads by width of MAE's decoder."""


@dataclass
class Settings:
    """Chooses settings and notes in ``assumed`` those that nobody told."""

    where: str
    assumed: dict[str, str] = field(default_factory=dict)

    def choose(
        self, name: str, told: Iterable[ValueT | None], *, default: ValueT, ground: str
    ) -> ValueT:
        """The first of ``told`` that is not None, else ``default``, noted with its ground."""
        for value in told:
            if value is not None:
                return value
        self.assumed[name] = f"{default}: {ground}"
        return default

    def heads(
        self,
        name: str,
        told: Iterable[int | None],
        width: int,
        each: int,
        published: dict[int, int],
    ) -> int:
        """A number of heads, which no tensor shows: as published for this width, or one for every
        ``each`` numbers. Raises ``CheckpointError`` if the heads do not divide the width."""
        usual = published.get(width, width // each)
        heads = self.choose(name, told, default=usual, ground="usual for the width")
        if heads <= 0 or width % heads:
            raise CheckpointError(
                f"the {name} do not divide the width",
                where=self.where,
                found=f"{heads} for a width of {width}" + ", assumed" * (name in self.assumed),
                hint=f"Give {name}.",
            )
        return heads

    def statistics(
        self,
        channels: int,
        mean: Iterable[Statistics | None],
        std: Iterable[Statistics | None],
    ) -> tuple[Statistics, Statistics]:
        """Mean and standard deviation per channel, ImageNet's where nobody tells. Raises
        ``BadConfig`` if there is not one of each for every channel."""
        ground = "ImageNet's, of images from 0 to 255"
        chosen = {
            "mean": self.choose("mean", mean, default=IMAGENET_MEAN, ground=ground),
            "std": self.choose("std", std, default=IMAGENET_STD, ground=ground),
        }
        for name, values in chosen.items():
            if len(values) != channels:
                raise BadConfig(
                    f"{name} needs one number for each channel",
                    where=self.where,
                    found=len(values),
                    expected=channels,
                    hint="Give mean and std of the images that the weights were trained on.",
                )
        return chosen["mean"], chosen["std"]
