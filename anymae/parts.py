"""Parts: the small, named, serialisable choices that fill a recipe's slots.

A part is a frozen pydantic model that belongs to a slot and has a kind. In JSON, YAML and on the
command line it is its kind (``"sincos"``) or a mapping with the kind and its fields
(``{"kind": "self", "depth": 4}``); unknown kinds and fields are refused by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import core_schema

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
    def _with_kind(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **dump(self)}

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """A field typed with a slot's base takes any part of the slot, and keeps its kind."""
        if cls.kind or not cls.slot:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            cls._parsed,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda part, info: part.model_dump(mode=info.mode), info_arg=True
            ),
        )

    @classmethod
    def _parsed(cls, value: Any) -> Part:
        try:
            return cls.resolve(value)
        except BadConfig as error:
            raise ValueError(str(error)) from None

    @classmethod
    def resolve(cls, value: Any) -> Self:
        """A part of this slot from a part, a kind, or a mapping with a kind and its fields.
        Raises ``BadConfig``, or pydantic's error for a wrong field."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping) or "kind" not in value:
            raise BadConfig(
                f"{cls.slot} must be a kind or a mapping with a kind",
                found=repr(value),
                expected=f"one of {', '.join(sorted(cls._kinds))}",
            )
        fields = dict(value)
        kind = fields.pop("kind")
        if not isinstance(kind, str) or kind not in cls._kinds:
            raise unknown_name(f"{cls.slot} kind", kind, cls._kinds)
        return cast(Self, cls._kinds[kind](**fields))


def explain_invalid(error: ValidationError, where: str, known: type[BaseModel]) -> BadConfig:
    """A pydantic error as one typed line naming the first wrong field.

    A name that does not exist comes first: what it was meant to be may be reported missing too.
    """
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path = [str(p) for p in first["loc"] if not str(p).startswith("function-")]
    field = ".".join(path)
    hint, what = None, f"{field}: {first['msg'].removeprefix('Value error, ')}"
    if first["type"] == "extra_forbidden":
        what = f"unknown setting {field!r}"
        names = _fields_at(known, path[:-1])
        near = difflib.get_close_matches(path[-1], names, n=1)
        hint = (
            f"Did you mean {'.'.join([*path[:-1], *near])!r}?"
            if near
            else f"Known: {', '.join(sorted(names))}."
        )
    return BadConfig(what, where=where, found=repr(first["input"])[:200], hint=hint)


def _fields_at(schema: type[BaseModel], path: list[str]) -> set[str]:
    """Names of the fields below ``path``: in a slot, those of all its kinds."""
    schemas = [schema]
    for name in path:
        inner = [s.model_fields[name].annotation for s in schemas if name in s.model_fields]
        schemas = []
        for kind in inner:
            if isinstance(kind, type) and issubclass(kind, Part):
                schemas += kind.kinds().values()
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                schemas.append(kind)
    return {name for s in schemas for name in s.model_fields}
