"""Parts and configuration: one schema, whole round trips, and errors that name the field."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

import anymae
from anymae.config import TrainingConfig, refuse_both, validated, with_overrides
from anymae.corruption import Corruption
from anymae.decoders import CrossDecoder, Decoder, SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig
from anymae.losses import Loss, SmoothLoss
from anymae.masks import Budget, Groups, Mask, Priority
from anymae.masks.budgets import CountBudget, RatioBudget
from anymae.masks.groups import AxisGroups, BlockGroups
from anymae.masks.priorities import BlockPriority
from anymae.parts import Part
from anymae.positions import NoPosition, Position, TablePosition
from anymae.recipe import Recipe
from anymae.recipes.pixels import MAE, SIMMIM
from anymae.targets import Content, Target
from anymae.teachers import Teacher

from .toys import ENCODER

VARIED = MAE.model_copy(
    update={
        "position": TablePosition(shape=(4, 5)),
        "mask": Mask(
            priority=BlockPriority(largest=0.5),
            groups=AxisGroups(axes=(0, 1)),
            budget=CountBudget(seen_count=7),
            ask=0.25,
        ),
        "decoder": CrossDecoder(depth=3),
        "loss": SmoothLoss(beta=0.3),
        "training": TrainingConfig(epochs=2.5, betas=(0.8, 0.99), clip=1.0),
    }
)
SLOTS = {
    Position: {"sincos", "table", "mlp", "none"},
    Priority: {
        "noise",
        "given",
        "block",
        "nearest",
        "span",
        "filtered",
        "attention",
        "line",
        "order",
    },
    Groups: {"each", "axis", "block", "tube", "frame"},
    Budget: {"ratio", "count", "range", "ramp"},
    Corruption: {"drop", "mask-token", "replace"},
    Decoder: {"self", "cross", "linear", "edges"},
    Target: {"content", "features", "hog", "codes"},
    Loss: {"squared", "absolute", "smooth", "cosine", "chamfer", "cross-entropy", "contrastive"},
    Teacher: {"none", "ema", "still", "staged"},
}


def refused(overrides: dict, config: BaseModel = MAE) -> str:
    with pytest.raises(BadConfig) as caught:
        with_overrides(config, overrides, "recipe mae")
    said = str(caught.value)
    assert said.startswith("recipe mae: ")
    assert "\n" not in said
    return said


# Parts


@pytest.mark.parametrize("base", SLOTS, ids=lambda b: b.slot)
def test_every_slot_has_its_first_kinds(base):
    assert set(base.kinds()) >= SLOTS[base]
    assert all(
        (part.slot, part.kind) == (base.slot, kind) and issubclass(part, base)
        for kind, part in base.kinds().items()
    )


def test_a_part_can_be_named_mapped_or_given():
    wanted = CrossDecoder(depth=2)
    assert Decoder.resolve(wanted) is wanted
    assert Decoder.resolve({"kind": "cross", "depth": 2}) == wanted
    assert Decoder.resolve("cross") == CrossDecoder()
    assert Mask(budget={"kind": "count", "seen_count": 3}).budget == CountBudget(seen_count=3)


@pytest.mark.parametrize("value", [3, None, {"depth": 2}, SmoothLoss()], ids=repr)
def test_anything_else_is_no_part(value):
    with pytest.raises(BadConfig) as caught:
        Decoder.resolve(value)
    said = str(caught.value)
    assert "decoder must be a kind or a mapping with a kind" in said
    assert "expected one of cross, edges, linear, neighbours, pool, self" in said


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(BadConfig, match=r"unknown decoder kind 'crss'.*Did you mean 'cross'\?"):
        Decoder.resolve("crss")


def test_two_parts_cannot_claim_one_kind():
    class Shape(Part, slot="test-shape"):
        pass

    class Round(Shape, kind="round"):
        pass

    with pytest.raises(BadConfig, match="two parts claim the test-shape kind 'round'"):

        class Other(Shape, kind="round"):
            pass

    assert Shape.kinds() == {"round": Round}
    assert "round" not in Part.kinds()


def test_parts_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        SmoothLoss().beta = 2.0


def test_a_part_can_live_in_any_model():
    class Owner(BaseModel):
        model_config = ConfigDict(frozen=True)
        loss: Loss = SmoothLoss()

    assert Owner(loss="absolute").model_dump() == {"loss": {"kind": "absolute"}}
    assert Owner.model_validate_json(Owner().model_dump_json()) == Owner()


# Round trips


@pytest.mark.parametrize("recipe", [MAE, SIMMIM, VARIED], ids=["mae", "simmim", "varied"])
def test_recipes_survive_json(recipe):
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe(**recipe.model_dump()) == recipe
    assert Recipe(**recipe.model_dump(mode="json")) == recipe


def test_json_names_the_kind_of_every_part():
    plain = VARIED.model_dump(mode="json")
    assert plain["mask"]["groups"] == {"kind": "axis", "axes": [0, 1]}
    assert plain["position"] == {"kind": "table", "shape": [4, 5]}
    assert all(plain[slot]["kind"] for slot in SLOTS_OF_RECIPES)


SLOTS_OF_RECIPES = ("position", "corruption", "decoder", "target", "loss")


def test_recipes_are_compared_by_what_they_say():
    assert with_overrides(MAE, {}, "x") == MAE
    assert MAE != SIMMIM
    assert with_overrides(MAE, {"target.eps": 1e-5}, "x") != MAE


# Overrides


@pytest.mark.parametrize(
    ("overrides", "path", "wanted"),
    [
        ({"decoder.depth": 4}, "decoder", SelfDecoder(depth=4)),
        ({"decoder": "cross"}, "decoder", CrossDecoder()),
        ({"decoder.kind": "cross"}, "decoder", CrossDecoder()),
        ({"decoder.depth": 4, "decoder": "cross"}, "decoder", CrossDecoder(depth=4)),
        ({"decoder.depth": 4, "decoder.kind": "cross"}, "decoder", CrossDecoder(depth=4)),
        ({"decoder": {"kind": "cross", "depth": 2}}, "decoder", CrossDecoder(depth=2)),
        ({"decoder": CrossDecoder(depth=5)}, "decoder", CrossDecoder(depth=5)),
        ({"decoder.kind": "self"}, "decoder", SelfDecoder()),
        ({"target.normalise": "none"}, "target", Content()),
        ({"position": "none"}, "position", NoPosition()),
        ({"mask.budget.ratio": 0.9}, "mask.budget", RatioBudget(ratio=0.9)),
        ({"mask.ratio": 0.9}, "mask.budget", RatioBudget(ratio=0.9)),
        ({"mask.budget.kind": "count", "mask.budget.seen_count": 5}, "mask.budget",
         CountBudget(seen_count=5)),
        ({"mask.groups": "block", "mask.groups.size": 2}, "mask.groups", BlockGroups(size=2)),
        ({"training.weight_decay": 0.1}, "training", TrainingConfig(weight_decay=0.1)),
        ({"training.betas": [0.8, 0.9]}, "training.betas", (0.8, 0.9)),
    ],
    ids=str,
)  # fmt: skip
def test_overrides_reach_any_depth(overrides, path, wanted):
    found = with_overrides(MAE, overrides, "recipe mae")
    for name in path.split("."):
        found = getattr(found, name)
    assert found == wanted


def test_another_kind_starts_from_its_own_defaults():
    deep = with_overrides(MAE, {"decoder.depth": 7}, "x")
    assert with_overrides(deep, {"decoder": "cross"}, "x").decoder == CrossDecoder()
    assert with_overrides(deep, {"decoder.kind": "self"}, "x").decoder == SelfDecoder(depth=7)


def test_the_original_is_left_alone():
    before = MAE.model_dump_json()
    with_overrides(MAE, {"decoder": "cross", "mask.ask": 0.5}, "x")
    assert MAE.model_dump_json() == before


@pytest.mark.parametrize(
    ("overrides", "field", "meant"),
    [
        ({"targt": "content"}, "targt", "target"),
        ({"decoder.depht": 4}, "decoder.depht", "decoder.depth"),
        ({"decoder": {"kind": "cross", "depht": 4}}, "decoder.depht", "decoder.depth"),
        ({"decodr.depth": 4}, "decodr.depth", "decoder.depth"),
        ({"mask.asc": 0.5}, "mask.asc", "mask.ask"),
        ({"mask.budget.ratoi": 0.5}, "mask.budget.ratoi", "mask.budget.ratio"),
        ({"mask.budgt.ratio": 0.5}, "mask.budgt.ratio", "mask.budget.ratio"),
        ({"training.weight_decy": 0}, "training.weight_decy", "training.weight_decay"),
        ({"decoder": "crss"}, "decoder", "cross"),
        ({"mask.priority.kind": "nois"}, "mask.priority", "noise"),
    ],
    ids=str,
)
def test_an_unknown_setting_is_answered_with_the_nearest(overrides, field, meant):
    said = refused(overrides)
    assert field in said
    assert f"Did you mean {meant!r}?" in said


def test_where_nothing_is_near_everything_is_listed():
    known = (
        "Known: bottleneck, depth, global_every, heads, hidden, mlp_ratio, place_noise, pool, "
        "shifted, temperature, width, window."
    )
    assert known in refused({"decoder.zzz": 1})


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"training.lr": -1}, "training.lr: Input should be greater than 0; found -1"),
        ({"training.lr": float("nan")}, "training.lr: Input should be a finite number"),
        ({"decoder.depth": "four"}, "decoder.depth: Input should be a valid integer"),
        ({"mask.budget.ratio": 1.5}, "mask.budget.ratio: Input should be less than 1; found 1.5"),
        ({"mask.budget": "count"}, "mask.budget.seen_count: Field required"),
        ({"decoder.depth.more": 3}, "unknown setting 'decoder.depth.more'"),
        ({"decoder": 3}, "decoder must be a kind or a mapping with a kind; found 3"),
        ({"training.steps": 5, "training.epochs": 2}, "steps and epochs cannot both be given"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_its_field(overrides, said):
    assert said in refused(overrides)


def test_a_misspelt_name_is_named_before_what_is_then_missing():
    with pytest.raises(BadConfig) as caught:
        validated(EncoderConfig, {"width": 16, "depht": 2, "heads": 2}, "encoder")
    assert str(caught.value).startswith("encoder: unknown setting 'depht'")
    assert "Did you mean 'depth'?" in str(caught.value)


def test_encoders_take_overrides_too():
    assert with_overrides(ENCODER, {"depth": 5}, "encoder").depth == 5
    assert "width 16 is not a multiple of heads 3" in refused({"heads": 3}, ENCODER)


def test_steps_and_epochs_are_one_choice():
    assert TrainingConfig(steps=3).epochs is None
    assert TrainingConfig(epochs=0.5).steps is None
    with pytest.raises(ValidationError, match="cannot both be given"):
        TrainingConfig(steps=3, epochs=1)


def test_options_that_exclude_each_other_are_named():
    refuse_both(steps=None, epochs=3)
    with pytest.raises(BadConfig, match=r"steps and epochs .* given\. Give one of them"):
        refuse_both(steps=1, epochs=3, lr=None)


def test_public_names_are_the_same_objects():
    assert anymae.Recipe is Recipe
    assert anymae.BadConfig is BadConfig
