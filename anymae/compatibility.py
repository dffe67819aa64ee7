"""Compatibility: whether the parts of a recipe fit each other and a modality."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import ValidationError

from anymae.adapter import Adapter
from anymae.corruption import HideEdges
from anymae.decoders import Decoder
from anymae.encoder import EncoderConfig
from anymae.errors import IncompatibleRecipe
from anymae.positions import NoPosition
from anymae.targets import Difficulty, Target

if TYPE_CHECKING:
    from anymae.recipe import Recipe

Whom = Literal["hidden", "seen", "all", "sample"]


class Asked(NamedTuple):
    """One goal of a recipe: whom it asks, who answers, and what the answer should be."""

    goal: str
    whom: Whom
    decoder: Decoder
    target: Target


def check(recipe: Recipe, adapter: Adapter, encoder: EncoderConfig | None) -> None:
    """Raise ``IncompatibleRecipe`` if the parts do not fit each other or the modality."""
    check_options(recipe, type(adapter))
    for part in recipe.all_parts():
        for need in sorted(part.needs - adapter.provides):
            raise IncompatibleRecipe(
                f"recipe {recipe.name!r}: {part.slot}={part.kind} needs {need}, which the "
                f"{adapter.name} modality does not have"
            )
    _check_class_token(recipe, adapter, encoder)
    _check_edges(recipe, adapter)
    for asked in _questions(recipe):
        _check_rows(recipe, asked)
        _check_whom(recipe, asked)
        if asked.target.needs_head and not recipe.teacher.has_heads:
            raise IncompatibleRecipe(
                f"recipe {recipe.name!r}: target={asked.target.kind} needs a teacher with a copy "
                "of the student's head, and a pretrained model has none",
                hint="Use teacher=ema; or target=prototypes, whose codewords follow any teacher.",
            )
    _check_difficulty(recipe)


def check_options(recipe: Recipe, kind: type[Adapter]) -> None:
    """Raise ``IncompatibleRecipe`` if a modality does not take the options a recipe wants of it."""
    option = unfit_option(recipe, kind)
    if option is not None:
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r} needs modality_options {option}="
            f"{recipe.wanted('adapter')[option]}, which the {kind.name} modality does not take"
        )


def unfit_option(recipe: Recipe, kind: type[Adapter]) -> str | None:
    """The first option a recipe wants that a modality does not have, or not with this value."""
    wanted = recipe.wanted("adapter")
    for option in wanted:
        if option not in kind.model_fields:
            return option
    try:
        kind(**wanted)
    except ValidationError as error:
        wrong = {str(found["loc"][0]) for found in error.errors() if found["loc"]}
        return next((option for option in wanted if option in wrong), None)
    return None


def _questions(recipe: Recipe) -> Iterator[Asked]:
    """The main goal and the further ones."""
    asked = recipe.mask.asked
    main: Whom = "hidden" if asked == "random" or asked == "next" else asked
    yield Asked("", main, recipe.decoder, recipe.target)
    for goal in recipe.also:
        whom = main if goal.scope == "asked" else goal.scope
        yield Asked("a goal with ", whom, goal.decoder, goal.target)


def _check_class_token(recipe: Recipe, adapter: Adapter, encoder: EncoderConfig | None) -> None:
    looker = None if encoder is None else recipe.teacher.looker(adapter, encoder)
    if recipe.mask.priority.needs_cls and looker is not None and not looker.cls:
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: mask.priority={recipe.mask.priority.kind} needs a class "
            f"token, which the {adapter.name} modality's encoder does not have here",
            hint="Set encoder.cls=true.",
        )


def _check_edges(recipe: Recipe, adapter: Adapter) -> None:
    """Positions must not tell of hidden edges."""
    hides = isinstance(recipe.corruption, HideEdges)
    if hides and not isinstance(recipe.position, NoPosition):
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: corruption={recipe.corruption.kind} needs position=none on "
            f"{adapter.name}: encodings of the whole graph would tell of the edges that are hidden",
            found=f"position={recipe.position.kind}",
        )


def _check_rows(recipe: Recipe, asked: Asked) -> None:
    """Who reads hidden tokens from the encoder needs them there."""
    hidden = asked.whom in ("hidden", "all") and asked.decoder.reads_hidden_rows
    if hidden and not recipe.corruption.keeps_hidden:
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: {asked.goal}decoder={asked.decoder.kind} reads hidden tokens "
            f"from the encoder, but corruption={recipe.corruption.kind} leaves them out",
            hint="Use corruption=mask-token, or decoder=self; or ask the seen alone.",
        )


def _check_whom(recipe: Recipe, asked: Asked) -> None:
    """Questions about whole samples have answers and targets of whole samples, and who asks for
    pairs asks for all tokens."""
    decoder, target, of_sample = asked.decoder, asked.target, asked.whom == "sample"
    if (decoder.of_samples, target.of_samples) != (of_sample, of_sample):
        what = "a whole sample" if of_sample else "each token"
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r} asks for {what}, which needs a decoder and a target of {what}",
            found=f"decoder={decoder.kind}, target={target.kind}",
            hint="Use decoder=pool and target=pooled with mask.asked=sample or scope=sample, and "
            "neither without.",
        )
    if target.asks_all and asked.whom != "all":
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: target={target.kind} needs all tokens to be asked",
            found=f"the {asked.whom}",
            hint="Set mask.asked=all, or the goal's scope=all.",
        )


def _check_difficulty(recipe: Recipe) -> None:
    """Who foresees losses needs them, and who hides by difficulty needs one who foresees it."""
    judges = [goal for goal in recipe.also if isinstance(goal.target, Difficulty)]
    misplaced = any(goal.scope != "asked" for goal in judges)
    if misplaced or isinstance(recipe.target, Difficulty):
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: target=difficulty needs the losses of the main goal",
            hint="Put it into a further goal (also) with scope=asked.",
        )
    if recipe.mask.priority.needs_difficulty and not judges:
        raise IncompatibleRecipe(
            f"recipe {recipe.name!r}: mask.priority={recipe.mask.priority.kind} needs a goal that "
            "foresees the losses of tokens",
            hint="Add one with target=difficulty and loss=rank to also.",
        )
