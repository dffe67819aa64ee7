"""``check_adapter``: every promise in order, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from anymae.adapter import Adapter
from anymae.checks import declaration, leaks, learning, modelling, refusing, tokenizing
from anymae.checks.case import BrokenPromise, Case, NotAsked
from anymae.errors import MissingExtra, unknown_name
from anymae.training.arguments import adapter_of

Check = Callable[[Case], None]

FOUNDATIONS: tuple[Check, ...] = (
    declaration.check_has_a_name,
    declaration.check_options_are_frozen,
    declaration.check_makes_tokens,
    tokenizing.check_tokenize_is_deterministic,
    tokenizing.check_examples_vary,
    declaration.check_survives_json,
)
"""Where one of these is broken, the others are not looked at."""

CHECKS: tuple[Check, ...] = (
    *FOUNDATIONS,
    tokenizing.check_fit_completes_a_copy,
    tokenizing.check_batches_equal_samples,
    tokenizing.check_examples_are_a_data_set,
    tokenizing.check_works_in_a_worker,
    tokenizing.check_augment_draws_from_its_generator,
    tokenizing.check_global_generators_are_left_alone,
    tokenizing.check_untokenize_is_the_inverse,
    refusing.check_refuses_bad_samples,
    refusing.check_refuses_bad_files,
    leaks.check_coordinates_do_not_carry_the_answer,
    leaks.check_visible_tokens_hold_nothing_hidden,
    leaks.check_hidden_content_is_not_read,
    leaks.check_unobserved_numbers_are_not_shown,
    modelling.check_batch_mates_do_not_matter,
    modelling.check_token_order_does_not_matter,
    modelling.check_single_tokens_work,
    modelling.check_gradients_reach_every_parameter,
    modelling.check_loss_prefers_the_truth,
    modelling.check_every_recipe_fits,
    modelling.check_survives_saving,
    modelling.check_raw_features_are_vectors,
    learning.check_draws_pictures,
    learning.check_learns,
)
"""Every promise, in the order in which they are checked."""


@dataclass(frozen=True)
class Finding:
    """What became of one promise: ``outcome`` is kept, not asked or broken; ``why``, if not."""

    promise: str
    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Report:
    """What became of every promise of an adapter; prints as a table."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the broken promises."""
        return tuple(f.promise for f in self.findings if f.outcome == "broken")

    def __str__(self) -> str:
        rows = [
            f"  {f.outcome:9s} {f.promise}{f': {f.why}' if f.why else ''}" for f in self.findings
        ]
        return "\n".join([self.name, *rows])


def check_adapter(
    adapter: Adapter | type[Adapter] | str,
    *,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
) -> Report:
    """Check what the core relies on, on the adapter's own examples, in about ten seconds.

    ``adapter`` is an instance, a class or a registered name. ``only`` and ``skip`` name promises,
    e.g. ``"batch_mates_do_not_matter"`` (see ``anymae.checks.CHECKS``). Returns a printable report
    that says of every promise whether it is kept, or why nothing was asked. Raises
    ``BrokenPromise`` (also an ``AssertionError``) with the first broken promise, what was found and
    how to mend it; all broken ones are named by its ``broken``, and the report is its note.
    Raises ``BadConfig`` for an unknown name.
    """
    named = {name_of(check): check for check in CHECKS}
    for name in (*(only or ()), *skip):
        if name not in named:
            raise unknown_name("promise", name, named)
    instance = _instance(adapter)
    case = Case(instance)
    findings: list[Finding] = []
    errors: list[BrokenPromise] = []
    sound = True
    for name, check in named.items():
        if name in skip or (only is not None and name not in only):
            continue
        finding, error = _examined(check, case) if sound else (_NOT_REACHED, None)
        findings.append(replace(finding, promise=name))
        if error is not None:
            errors.append(error.at(f"{instance.name}, {name}"))
            sound = sound and check not in FOUNDATIONS
    report = Report(instance.name, tuple(findings))
    if errors:
        errors[0].broken = report.broken
        errors[0].add_note(str(report))
        raise errors[0]
    return report


def name_of(check: Check) -> str:
    """The promise that a check is named after."""
    return check.__name__.removeprefix("check_")


_NOT_REACHED = Finding("", "not asked", "what it stands on is broken")


def _examined(check: Check, case: Case) -> tuple[Finding, BrokenPromise | None]:
    try:
        check(case)
    except (NotAsked, MissingExtra) as reason:
        return Finding("", "not asked", str(reason)), None
    except BrokenPromise as error:
        return Finding("", "broken", str(error)), error
    except Exception as crash:
        what = f"{type(crash).__name__}: {crash}"
        broken = BrokenPromise("an error on the adapter's own examples", found=what)
        broken.__cause__ = crash
        return Finding("", "broken", str(broken)), broken
    return Finding("", "kept"), None


def _instance(adapter: Adapter | type[Adapter] | str) -> Adapter:
    try:
        return adapter_of(adapter, {})
    except TypeError as error:  # an abstract class
        raise BrokenPromise(
            "the class cannot be made",
            where=getattr(adapter, "__name__", adapter),
            found=error,
            expected="name, token_dim, coord_dim, tokenize and example",
        ) from None
