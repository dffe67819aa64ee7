"""``check_adapter``: what it takes, what it tells, and what it raises."""

import pytest

import anymae
from anymae import registry
from anymae.checks import CHECKS, BrokenPromise, check_adapter, learning
from anymae.checks.kit import name_of
from anymae.errors import AnyMAEError, BadConfig

from .faults import Clouds, CountsWrongly, DividesBySpread, Pairs, ReturnsASpectrum, SeesNothing
from .sound import Fields, Patchy

KNOWN = (
    Clouds,
    Fields,
    Patchy,
    Pairs,
    CountsWrongly,
    DividesBySpread,
    SeesNothing,
    ReturnsASpectrum,
)
PROMISES = [name_of(check) for check in CHECKS]
QUICK = [p for p in PROMISES if p != "learns"]


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    known = {**registry._registered, **{cls.name: cls for cls in KNOWN}}
    monkeypatch.setattr(registry, "_registered", known)


@pytest.mark.parametrize("adapter", [Fields, Fields(), "fields"], ids=["class", "made", "name"])
def test_an_adapter_is_a_class_an_instance_or_a_name(adapter):
    report = check_adapter(adapter, only=["makes_tokens"])
    assert str(report) == "fields\n  kept      makes_tokens"


def test_it_is_a_public_name():
    assert anymae.check_adapter is check_adapter


def test_a_broken_promise_says_where_what_and_what_to_do():
    with pytest.raises(BrokenPromise, match=r"single-tokens-work.*single_tokens_work: ") as caught:
        check_adapter(DividesBySpread, only=["makes_tokens", "single_tokens_work"])
    error = caught.value
    assert isinstance(error, AssertionError)
    assert isinstance(error, AnyMAEError)
    assert error.broken == ("single_tokens_work",)
    assert error.hint
    assert "kept      makes_tokens" in error.__notes__[0]


def test_what_stands_on_a_broken_promise_is_not_asked():
    with pytest.raises(BrokenPromise) as caught:
        check_adapter(CountsWrongly)
    assert caught.value.broken == ("makes_tokens",)
    assert "not asked learns: what it stands on is broken" in caught.value.__notes__[0]


def test_a_crash_is_a_broken_promise_with_its_cause():
    class Crashing(Fields):
        def batch_tokenize(self, samples, device="cpu"):
            raise KeyError("oops")

    with pytest.raises(BrokenPromise, match="KeyError: 'oops'") as caught:
        check_adapter(Crashing(), only=["batches_equal_samples"])
    assert isinstance(caught.value.__cause__, KeyError)


def test_promises_are_named_in_words_that_exist():
    with pytest.raises(BadConfig, match="Did you mean 'learns'"):
        check_adapter(Fields, only=["learn"])
    with pytest.raises(BadConfig, match="unknown promise"):
        check_adapter(Fields, skip=["everything"])


def test_an_abstract_class_is_told_what_it_lacks():
    class Half(anymae.Adapter):
        name = "half"

    with pytest.raises(BrokenPromise, match="example"):
        check_adapter(Half)


def test_a_class_that_is_not_registered_is_told_so():
    class Loner(Fields):
        name = "loner"

    with pytest.raises(BrokenPromise, match=r"@anymae\.register"):
        check_adapter(Loner)


@pytest.mark.parametrize("sound", [Fields, Patchy, Pairs], ids=lambda c: c.__name__)
def test_a_sound_adapter_keeps_every_promise(sound):
    report = check_adapter(sound)
    assert report.broken == ()
    assert [f.promise for f in report.findings] == PROMISES


def test_between_them_the_sound_adapters_are_asked_everything():
    kept = {
        finding.promise
        for sound in (Fields, Patchy)
        for finding in check_adapter(sound, only=QUICK).findings
        if finding.outcome == "kept"
    }
    assert kept == set(QUICK)


def test_an_adapter_that_sees_nothing_does_not_learn(monkeypatch):
    monkeypatch.setattr(learning, "STEPS", (150,))  # enough for those that see
    assert check_adapter(Fields, only=["learns"]).broken == ()
    with pytest.raises(BrokenPromise, match="beats no trivial predictor"):
        check_adapter(SeesNothing, only=["learns"])


def test_points_relative_to_their_centre_do_not_leak():
    assert check_adapter(Clouds, only=QUICK).broken == ()


def test_what_cannot_be_compared_is_said():
    report = check_adapter(ReturnsASpectrum, only=QUICK)
    assert "not asked untokenize_is_the_inverse: untokenize returns an array of o" in str(report)


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_every_check_says_what_is_promised(check):
    assert check.__name__.startswith("check_")
    assert check.__doc__
