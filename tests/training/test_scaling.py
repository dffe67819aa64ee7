"""float16: gradients too small for it are scaled up, and too much of that is undone."""

import math

import pytest

from anymae.training import scaling
from anymae.training.scaling import overflowed, try_more
from anymae.training.setup import Progress
from anymae.training.trainer import Trainer
from tests.training.small import curve, cut_short, pretrain, weights


def test_it_learns_as_float32_does(tmp_path):
    last = {
        name: pretrain(tmp_path / name, precision=name, lr=2e-3).history[-1]
        for name in ("fp32", "fp16")
    }
    assert last["fp16"]["loss"] == pytest.approx(last["fp32"]["loss"], rel=0.05)
    assert last["fp16"]["loss"] != last["fp32"]["loss"]
    assert last["fp16"]["grad_norm"] == pytest.approx(last["fp32"]["grad_norm"], rel=0.1)
    assert last["fp16"]["skipped_steps"] == 0


def test_too_large_a_scale_is_halved_until_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "FIRST", 2.0**40)
    seen, update = [], Trainer._update

    def watched(self, *inputs):
        update(self, *inputs)
        seen.append(self.progress.scale)

    monkeypatch.setattr(Trainer, "_update", watched)
    run = pretrain(tmp_path / "run", precision="fp16", steps=40)
    passed_over = run.history[-1]["skipped_steps"]
    assert 0 < passed_over < 40
    assert seen[-1] == 2.0 ** (40 - passed_over)
    assert not (run.path / "bad_steps").exists()
    assert all(math.isfinite(row["loss"]) for row in run.history if "loss" in row)


def test_it_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "FIRST", 2.0**30)
    whole = pretrain(tmp_path / "whole", precision="fp16")
    out = tmp_path / "cut"
    cut_short(monkeypatch, 9, lambda: pretrain(out, precision="fp16"))
    run = pretrain(out, precision="fp16")
    assert curve(run) == curve(whole)
    assert weights(run) == weights(whole)


def test_the_scale_follows_what_holds(monkeypatch):
    monkeypatch.setattr(scaling, "PATIENCE", 3)
    progress = Progress(scale=4.0)
    for _ in range(3):
        try_more(progress)
    assert progress.scale == 8
    assert overflowed(progress, 0.5, math.inf)
    assert (progress.scale, progress.since_overflow) == (4, 0)
    assert not overflowed(progress, math.nan, math.inf)  # a bad step, whatever the scale
    assert not overflowed(progress, 0.5, 2.0)
    plain = Progress()
    for _ in range(9):
        try_more(plain)
    assert plain.scale == 1
    assert not overflowed(plain, 0.5, math.inf)
