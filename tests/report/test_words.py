"""Numbers as people read them, and what they are told to mean."""

import math

import pytest

from anymae.report import formats
from anymae.report.record import read_run
from anymae.report.words import verdict

from .folders import rows, run_folder

THIN = "\N{NARROW NO-BREAK SPACE}"
TIMES = f"{THIN}\N{MULTIPLICATION SIGN}{THIN}"
NONE = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.42487, "0.425"), (0.0004, f"4{TIMES}10⁻⁴"), (7.5e-05, f"7.5{TIMES}10⁻⁵"),
        (65037.0, "65,000"), (-0.5, "\N{MINUS SIGN}0.500"), (0, "0"), (1, "1.00"), (99.99, "100"),
        (0.9999, "1.00"), (123456789.0, f"1.23{TIMES}10⁸"), (None, NONE), (math.nan, NONE),
        (-math.inf, NONE),
    ],
)  # fmt: skip
def test_number(value, text):
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.634, "63"), (0.0312, "3.1"), (-5.741, "\N{MINUS SIGN}574"), (0, "0"), (-0.0001, "0.0"),
     (0.0996, "10"), (1, "100"), (-12.5, "\N{MINUS SIGN}1,250")],
)  # fmt: skip
def test_percent(value, text):
    assert formats.percent(value) == f"{text}{THIN}%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.94, "5.9 s"), (26.4, "26 s"), (59.7, "1 min"), (250, "4 min 10 s"), (7500, "2 h 5 min"),
     (3605, "1 h"), (273_600, "3 d 4 h"), (None, NONE)],
)  # fmt: skip
def test_duration(seconds, text):
    assert formats.duration(seconds).replace(THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(463_900, "464 k"), (86_600_000, "86.6 M"), (12, "12.0"), (None, NONE)]
)
def test_large(value, text):
    assert formats.large(value).replace(THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (80.0, "80"),
        (0.0005, "0.0005"),
        (60_000, "60 k"),
        (1500, "1,500"),
        (0, "0"),
        (-0.2, "\N{MINUS SIGN}0.2"),
    ],
)
def test_tick(value, text):
    assert formats.tick(value).replace(THIN, " ") == text


def judged(tmp_path, history):
    return verdict(read_run(run_folder(tmp_path / "run", history=history)))


def with_last(change: dict, history=None):
    history = history or rows()
    return [*history[:-1], history[-1] | change]


@pytest.mark.parametrize(
    ("explained", "tone", "title"),
    [(-0.2, "bad", "No"), (0.02, "bad", "Hardly"), (0.2, "fair", "Learning"), (0.5, "good", "Good"),
     (0.8, "good", "Very good")],
)  # fmt: skip
def test_the_verdict_follows_explained_variance_of_held_out_samples(
    tmp_path, explained, tone, title
):
    found = judged(tmp_path, with_last({"validation_explained_variance": explained}))
    assert found.tone == tone
    assert found.title.startswith(title)
    percent = formats.percent(abs(explained))
    assert any(percent in sentence for sentence in found.sentences)


def test_advice_names_what_is_wrong(tmp_path):
    def advice(history):
        return " ".join(judged(tmp_path, history).advice)

    flat = [row | {"loss": 0.3, "explained_variance": 0.4} for row in rows()]
    assert advice(flat) == ""
    assert "still falling" in advice([r | {"loss": 1 - 0.04 * r["step"]} for r in rows()])
    assert "stopped falling" in advice(with_last({"validation_explained_variance": -0.1}, flat))
    assert "has risen by" in advice(with_last({"validation_loss": 0.9}, flat))
    assert "lowest at step 15" in advice(with_last({"validation_loss": 0.9}, flat))
    assert "explained better than held-out" in advice(with_last({"explained_variance": 0.9}, flat))
    assert "3 steps were skipped" in advice(with_last({"skipped_steps": 3}, flat))
    assert "7 bad samples" in advice(with_last({"bad_samples": 7}, flat))
