"""Parts: the small, named, serialisable choices that fill a recipe's slots.

A part is a frozen pydantic model that belongs to a slot and has a kind. In JSON, YAML and on the
command line it is its kind (``"sincos"``) or a mapping with the kind and its fields
(``{"kind": "self", "depth": 4}``); unknown kinds and fields are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializeAsAny,
    ValidationError,
    model_serializer,
)

from anymae.errors import BadConfig, unknown_name


class Part(BaseModel):
    """Base of all parts. ``class X(Part, slot="decoder")`` opens a slot; a subclass of X with
    ``kind="self"`` joins it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slot: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What the modality must provide (see ``Adapter.provides``)."""
    _kinds: ClassVar[dict[str, type[Part]]] = {}

    def __init_subclass__(cls, slot: str = "", kind: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if slot:
            cls.slot, cls._kinds = slot, {}
        if kind:
            if kind in cls._kinds:
                raise BadConfig(
                    f"two parts claim the {cls.slot} kind {kind!r}",
                    found=f"{cls._kinds[kind].__module__} and {cls.__module__}",
                )
            cls.kind = kind
            cls._kinds[kind] = cls

    @classmethod
    def kinds(cls) -> Mapping[str, type[Part]]:
        """The parts that fill this slot, by kind."""
        return dict(cls._kinds)

    @model_serializer(mode="wrap")
    def _with_kind(self, dump) -> dict[str, Any]:
        return {"kind": self.kind, **dump(self)}


def resolve(base: type[Part], value: Any) -> Part:
    """A part of ``base``'s slot from a part, a kind, or a mapping with a kind."""
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, Mapping) or "kind" not in value:
        raise BadConfig(
            f"{base.slot} must be a kind or a mapping with a kind",
            found=repr(value),
            expected=f"one of {', '.join(sorted(base._kinds))}",
        )
    fields = dict(value)
    kind = fields.pop("kind")
    if kind not in base._kinds:
        raise unknown_name(f"{base.slot} kind", kind, base._kinds)
    return base._kinds[kind](**fields)


def slot_of(base: type[Part]) -> Any:
    """The field type of a slot: accepts what ``resolve`` accepts, keeps subclasses in JSON."""

    def parse(value: Any) -> Part:
        try:
            return resolve(base, value)
        except BadConfig as error:
            raise ValueError(str(error)) from None

    return Annotated[SerializeAsAny[base], BeforeValidator(parse)]


def explain_invalid(error: ValidationError, where: str, known: type[BaseModel]) -> BadConfig:
    """A pydantic error as one typed line naming the first wrong field."""
    import difflib

    first = error.errors()[0]
    field = ".".join(str(p) for p in first["loc"] if not str(p).startswith("function-"))
    hint = None
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), known.model_fields, n=1)
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else f"Known: {', '.join(sorted(known.model_fields))}."
        )
    return BadConfig(
        f"{field}: {first['msg'].removeprefix('Value error, ')}",
        where=where,
        found=repr(first["input"])[:200],
        hint=hint,
    )
