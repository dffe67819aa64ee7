"""Errors: one line that says where, what, and what to do, and that survives any journey."""

import copy
import pickle

import pytest

from anymae import errors
from anymae.errors import (
    AnyMAEError,
    BadConfig,
    BadInput,
    CheckpointError,
    Diverged,
    IncompatibleRecipe,
    Interrupted,
    MissingExtra,
    missing_extra,
    unknown_name,
)

EVERY = {
    AnyMAEError: 2,
    BadInput: 2,
    BadConfig: 2,
    IncompatibleRecipe: 2,
    MissingExtra: 2,
    CheckpointError: 2,
    Diverged: 3,
    Interrupted: 130,
}
every_error = pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)
FIELDS = {"where": "a.png", "found": (1, 2), "expected": "(3, 4)", "hint": "Do this."}


def test_no_error_is_forgotten_here():
    defined = {c for c in vars(errors).values() if isinstance(c, type)}
    assert {c for c in defined if issubclass(c, AnyMAEError)} == set(EVERY)
    assert all(c.__name__ in errors.__doc__ for c in EVERY)


@every_error
def test_every_error_has_its_exit_status(cls):
    assert cls("x").status == EVERY[cls]


def test_errors_are_what_python_expects_too():
    assert issubclass(BadInput, ValueError)
    assert issubclass(BadConfig, ValueError)
    assert issubclass(MissingExtra, ImportError)


@every_error
def test_a_message_is_one_line_with_everything(cls):
    assert str(cls("went wrong", **FIELDS)) == (
        "a.png: went wrong; found (1, 2); expected (3, 4). Do this."
    )
    assert str(cls("went wrong")) == "went wrong"
    assert str(cls("two\n  lines", found="a\nb")) == "two lines; found a b"


def test_what_was_found_is_shown_even_if_it_is_nothing():
    assert str(BadInput("x", found=0, expected=0)) == "x; found 0; expected 0"


@every_error
def test_errors_travel_between_processes_unchanged(cls):
    error = cls("went wrong", **FIELDS)
    for journey in (lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy):
        arrived = journey(error)
        assert type(arrived) is cls
        assert str(arrived) == str(error)
        assert vars(arrived) == vars(error)


@every_error
def test_a_place_can_be_put_in_front(cls):
    error = cls("went wrong", **FIELDS)
    placed = error.at("row 7")
    assert type(placed) is cls
    assert placed.where == "row 7, a.png"
    assert str(placed).startswith("row 7, a.png: went wrong; found (1, 2)")
    assert error.where == "a.png"
    assert cls("x").at("here").at("there").where == "there, here"


def test_an_unknown_name_is_answered_with_the_nearest():
    error = unknown_name("recipe", "simmin", ["simmim", "mae"])
    assert isinstance(error, BadConfig)
    assert str(error) == (
        "unknown recipe 'simmin'; expected one of mae, simmim. Did you mean 'simmim'?"
    )
    assert "Did you mean" not in str(unknown_name("recipe", "zzz", ["mae"]))
    assert "none is known" in str(unknown_name("recipe", "zzz", []))


def test_a_missing_package_is_answered_with_the_command():
    error = missing_extra("tifffile", "image", "a TIFF")
    assert isinstance(error, MissingExtra)
    assert str(error) == (
        "a TIFF needs the package 'tifffile', which is not installed. "
        "Run: pip install 'anymae[image]'"
    )
