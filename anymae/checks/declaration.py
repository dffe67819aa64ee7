"""Promises about what an adapter says of itself: name, options, shapes of its tokens."""

from __future__ import annotations

import json
import math
import re

import torch
from pydantic import ValidationError

from anymae.adapter import Adapter
from anymae.checks.case import BrokenPromise, Case
from anymae.checks.comparing import difference
from anymae.registry import modalities
from anymae.tokens import OBSERVED, Tokens

PROVIDED = frozenset({"grid", "time", "edges", "pixels", "sets"})


def check_has_a_name(case: Case) -> None:
    """The class is registered under a plain name, so that saved models find it again; what it
    provides and reads is said in known words."""
    cls = type(case.adapter)
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise BrokenPromise(
            "name must be a class variable of lower-case letters, digits, - and _",
            found=repr(name),
            hint='Write: name: ClassVar[str] = "eeg".',
        )
    if modalities().get(name) is not cls:
        raise BrokenPromise(
            f"the name {name!r} does not lead to this class, so saved models could not be loaded",
            found=modalities().get(name),
            hint="Decorate the class with @anymae.register, and give it a name of its own.",
        )
    if not cls.provides <= PROVIDED:
        raise BrokenPromise(
            "provides has words that no recipe knows",
            found=sorted(cls.provides - PROVIDED),
            expected=f"any of {', '.join(sorted(PROVIDED))}",
        )
    for ending in cls.extensions:
        if not ending.startswith(".") or ending != ending.lower():
            raise BrokenPromise(
                "extensions are lower-case endings with their dot", found=repr(ending)
            )
    if cls.extensions and not case.has_own("read"):
        raise BrokenPromise(
            "extensions are named, and read is not overridden", found=cls.extensions
        )


def check_options_are_frozen(case: Case) -> None:
    """An adapter cannot change under a model, and an option it does not have is refused by name."""
    adapter, options = case.adapter, case.adapter.model_dump()
    field = next(iter(options), "name")
    try:
        setattr(adapter.model_copy(), field, options.get(field))
    except (ValidationError, AttributeError):
        pass
    else:
        raise BrokenPromise(
            f"{field} can be set after construction",
            hint="Keep Adapter's model_config; return changes from fit with model_copy(update=...)",
        )
    try:
        type(adapter)(**{**options, "no_such_option": 1})
    except ValidationError as error:
        if "no_such_option" in str(error):
            return
        raise BrokenPromise(
            "the options an adapter gives back are not those it takes", found=error
        ) from None
    raise BrokenPromise(
        "an unknown option is taken without a word",
        found="no_such_option=1",
        hint="Keep Adapter's model_config, which forbids them.",
    )


def check_makes_tokens(case: Case) -> None:
    """``example``, ``fit`` and ``tokenize`` work, and give finite tokens of the shapes that
    ``token_dim``, ``coord_dim``, ``token_shape`` and ``edge_dim`` say."""
    adapter = case.fitted
    for seed, tokens in enumerate(case.tokens):
        where = f"example({seed})"
        if not isinstance(tokens, Tokens):
            raise BrokenPromise("tokenize gives no Tokens", where=where, found=type(tokens))
        if not len(tokens):
            raise BrokenPromise("tokenize gives no token at all", where=where)
        if tokens.values.dtype != torch.float32:
            raise BrokenPromise("values must be float32", where=where, found=tokens.values.dtype)
        for said, found in (
            ("token_dim", tokens.values.shape[1]),
            ("coord_dim", tokens.coords.shape[1]),
            ("edge_dim", _edge_dim(tokens)),
        ):
            if getattr(adapter, said) != found:
                raise BrokenPromise(
                    f"{said} is not what tokenize gives",
                    where=where,
                    found=f"{said} {getattr(adapter, said)}, and {found} numbers",
                )
        for name, tensor in (("values", tokens.values), ("coords", tokens.coords)):
            if not torch.isfinite(tensor).all():
                raise BrokenPromise(
                    f"{name} are not finite",
                    where=where,
                    found=tensor[~torch.isfinite(tensor)][0].item(),
                    hint="Leave a missing token out, or say which numbers are known in "
                    'side["observed"].',
                )
        _refuse_bad_observed(tokens, where)
    if math.prod(adapter.token_shape) != adapter.token_dim:
        raise BrokenPromise(
            "token_shape does not multiply to token_dim",
            found=f"{adapter.token_shape} and {adapter.token_dim}",
        )
    has_edges = any(tokens.edges is not None for tokens in case.tokens)
    if has_edges != ("edges" in adapter.provides):
        raise BrokenPromise(
            "provides and tokenize disagree on edges",
            found=f"provides {sorted(adapter.provides)}, {'edges' if has_edges else 'no edges'}",
        )


def _edge_dim(tokens: Tokens) -> int:
    if tokens.edges is None or tokens.edges.values is None:
        return 0
    return tokens.edges.values.shape[1]


def _refuse_bad_observed(tokens: Tokens, where: str) -> None:
    observed = tokens.side.get(OBSERVED)
    if observed is None:
        return
    if observed.dtype != torch.bool or observed.shape != tokens.values.shape:
        raise BrokenPromise(
            'side["observed"] must say of every number of a token whether it is known',
            where=where,
            found=f"{observed.dtype} {tuple(observed.shape)}",
            expected=f"bool {tuple(tokens.values.shape)}",
        )


def check_survives_json(case: Case) -> None:
    """Options and what ``fit`` learned come back from JSON, and make the same tokens."""
    for adapter in (case.adapter, case.fitted):
        told, again = (a.model_dump(mode="json") for a in (adapter, _through_json(adapter)))
        if told != again:
            raise BrokenPromise(
                "an adapter read back from JSON is another one",
                found=again,
                expected=told,
                hint="Give fields types that JSON keeps: numbers, str, tuples; no arrays.",
            )
    apart = difference(_through_json(case.fitted).tokenize(case.examples[0]), case.tokens[0])
    if apart:
        raise BrokenPromise("an adapter read back from JSON makes other tokens", found=apart)


def _through_json(adapter: Adapter) -> Adapter:
    try:
        text = json.dumps(adapter.model_dump(mode="json"), allow_nan=False)
        return type(adapter)(**json.loads(text))
    except ValueError as error:
        raise BrokenPromise("its fields cannot go through JSON", found=error) from None
