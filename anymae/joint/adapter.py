"""JointAdapter: several modalities of one sample, each through its own adapter.

A sample is a tuple with one entry a stream, None where it is missing; its tokens are those of its
streams after one another, so the encoder sees one sequence and the mask one budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.config import validated
from anymae.errors import AnyMAEError, BadConfig, BadInput
from anymae.joint.modules import JointEmbedding, JointHead, JointPlaces, by_stream
from anymae.joint.streams import Part, Stream, joined
from anymae.losses import Loss
from anymae.positions import Position
from anymae.registry import modality, recipe
from anymae.tokens import Packed, Tokens, moments


class JointAdapter(Adapter):
    """Streams by modality name, each with its adapter's fields.

    Streams keep their modality's own positions, embeddings, heads and losses. Modalities with
    edges cannot be joined: raises ``BadConfig``.
    """

    name: ClassVar[str] = "joint"
    pair_is_sample: ClassVar[bool] = True
    fit_samples: ClassVar[int] = 4096

    streams: dict[str, dict[str, Any]] = Field(min_length=2)
    whole: tuple[str, ...] = ()
    """Streams whose coordinates are whole numbers, learned from the data."""
    raw_widths: dict[str, int] = Field(default_factory=dict)
    """Raw features of each stream, learned from the data."""

    @classmethod
    def of(cls, names: Sequence[Any], options: Mapping[str, Any]) -> JointAdapter:
        """From names, adapters or their classes; ``options`` are each modality's, by name. Raises
        ``BadConfig``."""
        parts = [_part(one, options) for one in names]
        known = [part.name for part in parts]
        unknown = sorted(set(options) - set(known))
        if unknown or len(set(known)) < len(known):
            raise BadConfig(
                "modality_options of joint pretraining are one mapping a modality"
                if unknown
                else "each modality can be joined once",
                found=unknown or known,
                expected=f"names of {known}" if unknown else None,
            )
        return cls(streams={part.name: part.model_dump(mode="json") for part in parts})

    @cached_property
    def parts(self) -> tuple[Stream, ...]:
        """The streams in order."""
        found = []
        for place, (name, fields) in enumerate(self.streams.items()):
            adapter = validated(modality(name), fields, f"streams.{name}")
            if "edges" in adapter.provides:
                raise BadConfig(f"{name} cannot be joined with other modalities: it has edges")
            found.append(Stream(place, name, adapter, name in self.whole))
        return tuple(found)

    @property
    def token_dim(self) -> int:
        return max(stream.adapter.token_dim for stream in self.parts)

    @property
    def coord_dim(self) -> int:
        return 1 + max(stream.adapter.coord_dim for stream in self.parts)

    def example(self, seed: int) -> tuple[Any, ...]:
        return tuple(stream.adapter.example(seed) for stream in self.parts)

    # -- data -------------------------------------------------------------------------------

    def entries(self, sample: Any) -> tuple[Any, ...]:
        """A sample's entry for each stream, from a tuple or a mapping by name. Raises
        ``BadInput``."""
        names = [stream.name for stream in self.parts]
        if isinstance(sample, Mapping):
            unknown = sorted(set(sample) - set(names))
            if not unknown:
                sample = tuple(sample.get(name) for name in names)
        if not isinstance(sample, tuple) or len(sample) != len(names):
            raise BadInput(
                "not a joint sample",
                found=f"{type(sample).__name__}"
                + (f" of {len(sample)}" if hasattr(sample, "__len__") else ""),
                expected=f"a tuple or mapping with {', '.join(names)} (None where missing)",
            )
        if all(entry is None for entry in sample):
            raise BadInput("every stream of the sample is missing", expected=f"one of {names}")
        return sample

    def fit(self, samples: Iterable[Any]) -> Self:
        every = [self.entries(sample) for sample in samples]
        fitted, whole, raw_widths = {}, [], {}
        for stream in self.parts:
            own = [e for entries in every if (e := entries[stream.place]) is not None]
            adapter = stream.adapter.fit(iter(own))
            fitted[stream.name] = adapter.model_dump(mode="json")
            if own:
                tokens = adapter.tokenize(own[0])
                raw_widths[stream.name] = len(_raw_features(adapter, tokens))
                if not tokens.coords.is_floating_point():
                    whole.append(stream.name)
        learned = {"streams": fitted, "whole": tuple(whole), "raw_widths": raw_widths}
        return self.model_copy(update=learned)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy whose streams are read again: the old ones would stay cached."""
        return type(self)(**{**self.model_dump(), **(update or {})})

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        return tuple(
            None if entry is None else stream.adapter.augment(entry, generator)
            for stream, entry in zip(self.parts, self.entries(sample), strict=True)
        )

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        every = [self.entries(sample) for sample in samples]
        found = []
        for stream in self.parts:
            own = [entries[stream.place] for entries in every]
            there = [entry for entry in own if entry is not None]
            try:
                packed = stream.adapter.batch_tokenize(there, device) if there else None
            except AnyMAEError as error:
                raise error.at(stream.name) from None
            found.append(Part(stream, packed, [entry is not None for entry in own]))
        return joined(found, self.token_dim, self.coord_dim)

    def untokenize(self, tokens: Tokens) -> tuple[Any, ...]:
        """One entry a stream in its own units, None where it is missing."""
        joint = Packed.of([tokens])
        entries: list[Any] = []
        for stream in self.parts:
            own = stream.of(joint, stream.rows(joint.coords))
            there = own.segments.total > 0
            entries.append(stream.adapter.untokenize(own.split()[0]) if there else None)
        return tuple(entries)

    def raw_features(self, tokens: Tokens) -> Tensor:
        """Each stream's raw features, or mean and deviation of its values where it has none of its
        own, after one another; a stream that is missing gives zeros, and each says whether it is
        there."""
        joint = Packed.of([tokens])
        found = []
        for stream in self.parts:
            own = stream.of(joint, stream.rows(joint.coords))
            if own.segments.total:
                found += [_raw_features(stream.adapter, own.split()[0]), torch.ones(1)]
            else:
                usual = 2 * stream.adapter.token_dim
                found.append(torch.zeros(self.raw_widths.get(stream.name, usual) + 1))
        return torch.cat(found)

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        """What the streams' own numbers can agree on: the mean of their mask ratios, and raw
        content wherever one of them asks for it."""
        own = [stream.adapter.numbers(recipe) for stream in self.parts]
        found: dict[str, Any] = {}
        if any(n.get("target.normalise") == "none" for n in own):
            found["target.normalise"] = "none"
        usual = _usual_ratio(recipe)
        ratios = [float(n.get("mask.ratio", usual)) for n in own]
        if any("mask.ratio" in n for n in own):
            found["mask.ratio"] = sum(ratios) / len(ratios)
        return found

    def embed(self, width: int) -> nn.Module:
        return JointEmbedding(self.parts, width)

    def place(self, position: Position, width: int) -> nn.Module:
        own = [
            Position.resolve(stream.adapter.numbers("mae").get("position", position))
            for stream in self.parts
        ]
        modules = [
            stream.adapter.place(one, width) for stream, one in zip(self.parts, own, strict=True)
        ]
        return JointPlaces(self.parts, modules)

    def head(self, width: int, out: int) -> nn.Module:
        return JointHead(self.parts, width, out)

    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        def own(stream: Stream, rows: Tensor) -> Tensor:
            width = stream.adapter.token_dim
            fitting = Loss.resolve(stream.adapter.numbers("mae").get("loss", loss))
            each = stream.adapter.content_loss(
                fitting, prediction[rows, :width], target[rows, :width], stream.of(asked, rows)
            )
            return each[:, None]

        return by_stream(self.parts, asked.coords, own)[:, 0]

    def as_content(self, prediction: Tensor, asked: Packed) -> Tensor:
        return by_stream(
            self.parts,
            asked.coords,
            lambda stream, rows: stream.adapter.as_content(
                prediction[rows, : stream.adapter.token_dim], stream.of(asked, rows)
            ),
        )

    def as_prediction(self, content: Tensor, asked: Packed) -> Tensor:
        return by_stream(
            self.parts,
            asked.coords,
            lambda stream, rows: stream.adapter.as_prediction(
                content[rows, : stream.adapter.token_dim], stream.of(asked, rows)
            ),
        )

    # -- pictures ---------------------------------------------------------------------------

    def draw(self, axes: Any, sample: Any) -> None:
        """The streams above one another."""
        axes.set_axis_off()
        share = 1 / len(self.parts)
        for stream, entry in zip(self.parts, self.entries(sample), strict=True):
            inner = axes.inset_axes((0, 1 - (stream.place + 1) * share, 1, 0.94 * share))
            if entry is None:
                inner.text(0.5, 0.5, f"no {stream.name}", ha="center", va="center")
                inner.set_axis_off()
            else:
                stream.adapter.draw(inner, entry)


def _part(one: Any, options: Mapping[str, Any]) -> Adapter:
    if isinstance(one, Adapter):
        return one
    kind: type[Adapter] = one if isinstance(one, type) else modality(one)
    return validated(kind, options.get(kind.name, {}), f"modality_options.{kind.name}")


def _usual_ratio(name: str) -> float:
    return recipe(name).mask.ratio or 0.75


def _raw_features(adapter: Adapter, tokens: Tokens) -> Tensor:
    own = adapter.raw_features(tokens)
    return moments(tokens) if own is None else own.float()
