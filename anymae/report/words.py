"""Words: what a run's numbers mean, in plain language."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from anymae.report.artifacts import KeptScores, Measured
from anymae.report.formats import count, duration, number, percent, score
from anymae.report.record import RunRecord

Tone = Literal["bad", "fair", "good", "unknown"]

_LEVELS: tuple[tuple[float, Tone, str, str], ...] = (
    (-0.02, "bad", "worse than a guess", "No: worse than a trivial guess"),
    (0.05, "bad", "no better than a guess", "Hardly: no better than a trivial guess"),
    (0.3, "fair", "learning", "Learning: clearly better than a trivial guess"),
    (0.6, "good", "good", "Good: far better than a trivial guess"),
    (math.inf, "good", "very good", "Very good: most of what was hidden is predicted"),
)
STILL_FALLING = 0.03
"""A loss that fell by more than this share in the last quarter of the run had further to go."""
RISEN = 0.02
GAP = 0.15


@dataclass(frozen=True)
class Verdict:
    """The answer to "is my loss good?": a tone for the eye, in a word or two, as a title, in
    sentences, and what to do."""

    tone: Tone
    short: str
    title: str
    sentences: list[str]
    advice: list[str]


def verdict(record: RunRecord) -> Verdict:
    """Judge the final loss by the share of the better trivial predictor's loss it removes, on
    held-out samples where there are any."""
    kind = "validation_" if record.series("validation_loss")[0] else ""
    explained = record.last(f"{kind}explained_variance")
    if explained is None:
        return Verdict("unknown", "unknown", "Not known yet", [_what(record)], [])
    _, tone, short, title = next(level for level in _LEVELS if explained < level[0])
    sentences = [_what(record), *_compared(record, kind, explained)]
    return Verdict(tone, short, title, sentences, _advice(record, explained))


def _what(record: RunRecord) -> str:
    method, training = record.config.model.recipe, record.config.model.recipe.training
    done, whole = record.last("step"), training.steps
    state = "finished" if record.finished else "has not finished yet"
    if not done:
        return f"This {record.config.model.modality} run of {method.name} has logged no step yet."
    of = f" of {count(whole)}" if whole and done < whole else ""
    return (
        f"This {record.config.model.modality} run of {method.name} {state} after {count(done)}{of} "
        f"steps ({number(record.last('epoch'))} epochs) in {duration(record.last('seconds'))}."
    )


def _compared(record: RunRecord, kind: str, explained: float) -> list[str]:
    where = "On held-out samples" if kind else "On its training samples"
    loss, trivial = record.last(f"{kind}loss"), record.trivial(kind)
    squared = record.config.model.recipe.loss.kind == "squared"
    against = (
        "" if trivial is None else f"; the better of two trivial guesses scores {number(trivial)}"
    )
    share = percent(abs(explained))
    if explained >= 0:
        what = "explains" if squared else "removes"
        of = "of the variance that guess leaves" if squared else "of that guess's loss"
        outcome = f"The model {what} {share} {of}."
    else:
        outcome = f"The model's error is {share} larger than that guess's."
    return [
        f"{where}, the loss on hidden tokens is {number(loss)}{against}.",
        outcome,
        "The trivial guesses are the average content at a token's position, and the average of "
        "the visible tokens of the same sample. How much can be explained depends on the data and "
        "on the share hidden, so compare this figure only between runs that hide alike.",
    ]


def _advice(record: RunRecord, explained: float) -> list[str]:
    found = []
    _, losses = record.series("loss")
    if len(losses) >= 8:
        quarter = len(losses) // 4
        before = sum(losses[-2 * quarter : -quarter]) / quarter
        fall = 1 - sum(losses[-quarter:]) / quarter / before if before > 0 else 0.0
        if fall > STILL_FALLING:
            found.append(f"The loss was still falling ({percent(fall)} in the last quarter): more "
                         "steps will help.")  # fmt: skip
        elif explained < 0.05:
            found.append("The loss has stopped falling: try more steps from the start, a higher "
                         "learning rate, or a smaller share hidden.")  # fmt: skip
    found += _overfitting(record)
    skipped, bad = record.last("skipped_steps"), record.last("bad_samples")
    if skipped:
        found.append(f"{count(skipped)} steps were skipped: their loss or gradient was not finite, "
                     "or absurdly large. Try a lower learning rate or clipping.")  # fmt: skip
    if bad:
        found.append(f"{count(bad)} bad samples were skipped; bad_samples.csv lists them.")
    return found


def _overfitting(record: RunRecord) -> list[str]:
    steps, held_out = record.series("validation_loss")
    if len(held_out) < 3:
        return []
    lowest = min(held_out)
    if held_out[-1] > lowest * (1 + RISEN):
        step = steps[held_out.index(lowest)]
        return [f"The validation loss was lowest at step {count(step)} and has risen by "
                f"{percent(held_out[-1] / lowest - 1)} since: the model begins to memorise. Use "
                "fewer steps or more data."]  # fmt: skip
    gap = record.last("explained_variance") - record.last("validation_explained_variance")
    if gap > GAP:
        return [f"Training samples are explained better than held-out ones, by {percent(gap)} of "
                "the variance: more data or augmentation would help."]  # fmt: skip
    return []


def outcome(scores: KeptScores) -> str:
    """One sentence: did pretraining pay, against raw features and a random encoder?"""
    told = [
        _gained(gain, name)
        for name, gain in (
            ("raw features", scores.over_raw),
            ("a random encoder", scores.over_random_init),
        )
        if gain is not None and gain.value is not None
    ]
    return f"Pretrained features are {' and '.join(told)}." if told else ""


def _gained(gain: Measured, name: str) -> str:
    value = gain.value or 0.0
    size = f"{score(abs(value))} {'better' if value >= 0 else 'worse'} than {name}"
    if gain.interval and gain.interval[0] <= 0 <= gain.interval[1]:
        return f"{size}, which may be chance"
    return size
