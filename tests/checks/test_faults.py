"""Every promise is checked: an adapter that breaks it is found, and for nothing else."""

import pytest

from anymae import registry
from anymae.checks import CHECKS, BrokenPromise, check_adapter
from anymae.checks.kit import name_of

from .faults import FAULTS

PROMISES = [name_of(check) for check in CHECKS]


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    known = {**registry._registered, **{cls.name: cls for _, cls in FAULTS}}
    monkeypatch.setattr(registry, "_registered", known)


def broken(adapter, **options) -> tuple[str, ...]:
    try:
        return check_adapter(adapter, **options).broken
    except BrokenPromise as error:
        return error.broken


def test_every_promise_has_a_fault():
    assert {promise for promise, _ in FAULTS} | {"learns"} == set(PROMISES)


@pytest.mark.parametrize(("promise", "fault"), FAULTS, ids=[f.__name__ for _, f in FAULTS])
def test_a_fault_is_found_and_nothing_else(promise, fault):
    slow = {"learns", "every_recipe_fits"} - {promise}
    assert broken(fault, skip=slow) == (promise,)
