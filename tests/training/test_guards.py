"""A bad step reaches no weight, is kept with all it was made of, and can be computed again."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import anymae
from anymae.cli import main
from anymae.training.guards import ENOUGH, fault, remember
from anymae.training.replay import replay
from anymae.training.setup import Progress
from anymae.training.trainer import Trainer

from .small import curve, digits, pretrain, weights

ABSURD = 37
OPTIONS = {"mean": (120.0,), "std": (70.0,)}


def with_an_absurd_sample(path: Path) -> Path:
    """Digits, one of them so bright that float32 overflows."""
    images = digits().astype(np.float32)
    images[ABSURD] *= np.float32(1e25)
    np.save(path, images)
    return path


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory) -> anymae.Run:
    place = tmp_path_factory.mktemp("spoiled")
    data = with_an_absurd_sample(place / "images.npy")
    return pretrain(place / "run", data, validation=None, modality_options=OPTIONS)


def records(run: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted((run / "bad_steps").glob("*.json"))]


def test_a_step_that_is_not_finite_is_passed_over_and_kept(spoiled):
    found = records(spoiled.path)
    assert found
    assert spoiled.history[-1]["skipped_steps"] == len(found)
    for record in found:
        assert record["fault"] == "loss nan"
        assert ABSURD in [sample["index"] for sample in record["samples"]]
        assert len(record["samples"]) == 16
    assert all(math.isfinite(row.get("loss", 0.0)) for row in spoiled.history)


def test_a_bad_step_is_replayed_and_its_sample_found(spoiled):
    before = {p: p.read_bytes() for p in spoiled.path.rglob("*") if p.is_file()}
    for record in records(spoiled.path):
        again = replay(spoiled.path, step=record["step"])
        assert again.start == record["checkpoint"] < again.step
        assert (str(again.loss), str(again.grad_norm)) == (record["loss"], record["grad_norm"])
        assert again.fault == record["fault"]
        assert again.parts[0].sample.index == ABSURD
        assert math.isnan(again.parts[0].loss)
        assert all(math.isfinite(p.loss) and math.isfinite(p.grad_norm) for p in again.parts[1:])
        assert "embedding" in " ".join(again.parameters)
    assert before == {p: p.read_bytes() for p in spoiled.path.rglob("*") if p.is_file()}


def test_a_good_step_is_replayed_to_the_bit(spoiled):
    row = spoiled.history[-1]
    again = replay(spoiled.path, step=row["step"])
    assert again.loss == row["loss"]
    assert again.grad_norm == row["grad_norm"]
    assert again.fault is None
    assert again.recorded is None
    mean = sum(part.loss for part in again.parts) / len(again.parts)
    assert mean == pytest.approx(again.loss, rel=1e-5)  # all ask for as many tokens


def test_the_command_names_the_sample(spoiled, capsys):
    assert main(["replay", str(spoiled.path)]) == 0
    said = capsys.readouterr().out
    step = records(spoiled.path)[-1]["step"]
    assert f"step {step}, computed again" in said
    assert "then  loss nan, gradient norm nan: bad, loss nan" in said
    assert f"images.npy[row {ABSURD}]" in said.split("largest gradient first:\n")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--step", "21"], "no such step; found 21; expected 1 to 20"), (["--step", "0"], "no such")],
)
def test_steps_that_were_not_are_refused(spoiled, capsys, arguments, said):
    assert main(["replay", str(spoiled.path), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_other_data_are_refused(spoiled):
    with pytest.raises(anymae.BadConfig, match="another data"):
        replay(spoiled.path, digits())


def test_a_run_without_bad_steps_says_so(tmp_path):
    run = pretrain(tmp_path / "run", steps=2)
    with pytest.raises(anymae.BadConfig, match="no step of this run was bad"):
        replay(run.path, digits())


# What is bad


def judged(loss: float, norm: float, progress: Progress | None = None) -> str | None:
    config = anymae.recipes()["mae"].training
    if progress is None:
        progress = Progress(first_loss=1.0, norms=[2.0] * ENOUGH)
    return fault(progress, config, 0.5, loss, norm)


@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (math.nan, 1.0, "loss nan"),
        (math.inf, 1.0, "loss inf"),
        (1.0, math.nan, "gradient norm nan"),
        (1001.0, 1.0, "loss 1001, 1e+03 times that of no model"),
        (1.0, 2001.0, "gradient norm 2001, 1e+03 times its running median"),
    ],
)
def test_what_is_bad_is_named(loss, norm, said):
    assert said in judged(loss, norm)


@pytest.mark.parametrize(("loss", "norm"), [(1.0, 2.0), (999.0, 1999.0), (0.0, 0.0)])
def test_what_is_only_high_is_good(loss, norm):
    assert judged(loss, norm) is None


def test_few_norms_and_norms_of_zero_say_nothing():
    assert judged(1.0, 1e9, Progress(first_loss=1.0, norms=[2.0] * (ENOUGH - 1))) is None
    assert judged(1.0, 1e9, Progress(first_loss=1.0, norms=[0.0] * ENOUGH)) is None


def test_the_median_forgets():
    progress = Progress()
    for norm in [1000.0] * 100 + [1.0] * 60:
        remember(progress, 1.0, norm)
    assert len(progress.norms) == 100
    assert "times its running median" in judged(1.0, 2000.0, progress)


# Going back


def spoil(monkeypatch: pytest.MonkeyPatch, bad: Callable[[int], bool], factor: float) -> None:
    """Multiply the gradients of some steps (counted from 0) by a factor."""
    original = Trainer.backward

    def backward(self, *arguments):
        found = original(self, *arguments)
        if bad(self.progress.step):
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
        return found

    monkeypatch.setattr(Trainer, "backward", backward)


def test_a_spike_is_passed_over(tmp_path, monkeypatch):
    spoil(monkeypatch, lambda step: step == 18, 1e5)
    run = pretrain(tmp_path / "run")
    assert run.history[-1]["skipped_steps"] == 1
    (record,) = records(run.path)
    assert record["step"] == 19
    assert "times its running median" in record["fault"]
    kept = run.path / "bad_steps" / "checkpoints" / "step-000000015"
    assert (kept / "manifest.json").exists()


def rolls_back(path: Path, monkeypatch: pytest.MonkeyPatch, **changes) -> anymae.Run:
    with monkeypatch.context() as patch:
        spoil(patch, lambda step: 11 <= step < 14, math.nan)
        return pretrain(path, **({"training.bad_steps": 3} | changes))


def test_bad_steps_in_a_row_bring_older_weights_back_and_their_samples_do_not_return(
    tmp_path, monkeypatch, capsys
):
    drawn = []
    original = Trainer._update

    def update(self, *arguments):
        drawn.append((self.progress.step, self.progress.updates))
        original(self, *arguments)

    monkeypatch.setattr(Trainer, "_update", update)
    run = rolls_back(tmp_path / "run", monkeypatch)
    assert [step for step, _ in drawn] == list(range(20))
    assert drawn[13:15] == [(13, 11), (14, 10)]  # the update after the checkpoint is gone, too
    assert run.history[-1]["skipped_steps"] == 4
    assert "going on with the weights of step 10" in capsys.readouterr().err
    assert [record["step"] for record in records(run.path)] == [12, 13, 14]


def test_a_checkpoint_among_bad_steps_is_not_gone_back_to(tmp_path, monkeypatch, capsys):
    """Its weights are those the bad steps began with."""
    rolls_back(tmp_path / "run", monkeypatch, **{"training.checkpoint_every": 2})
    assert "going on with the weights of step 10" in capsys.readouterr().err


ALSO = [pytest.param(looks, marks=pytest.mark.slow) for looks in (6, 11, 14, 17)]


@pytest.mark.parametrize("looks", [12, 13, *ALSO])
def test_a_run_that_went_back_resumes_to_the_same_bits(tmp_path, monkeypatch, looks):
    """Stopped by a signal, as it were: with a checkpoint where none was due."""
    from .small import cut_short

    whole = rolls_back(tmp_path / "whole", monkeypatch)
    cut_short(monkeypatch, looks, lambda: rolls_back(tmp_path / "cut", monkeypatch))
    again = rolls_back(tmp_path / "cut", monkeypatch)
    assert weights(again) == weights(whole)
    assert curve(again) == curve(whole)


def test_a_run_goes_back_only_so_often(tmp_path, monkeypatch):
    spoil(monkeypatch, lambda step: step >= 11, math.nan)
    said = "2 bad steps in a row, after going back 2 times"
    with pytest.raises(anymae.Diverged, match=said) as stopped:
        pretrain(tmp_path / "run", **{"training.bad_steps": 2})
    assert "step 17: " in str(stopped.value)
    assert stopped.value.status == 3


def test_a_diverged_run_leaves_no_number_that_is_not_finite(tmp_path):
    with pytest.raises(anymae.Diverged, match=r"diverged.*Try a lower lr"):
        pretrain(tmp_path / "run", lr=1e6, steps=200, **{"training.warmup": 0.0})
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert any(p.suffix == ".safetensors" for p in files)
    for path in files:
        if path.suffix == ".safetensors":
            assert all(torch.isfinite(t).all() for t in load_file(path).values()), path
        elif path.suffix == ".json" and path.parent.name != "bad_steps":
            assert not {"NaN", "Infinity", "-Infinity"} & set(path.read_text().split()), path
        elif path.suffix == ".csv":
            assert not {"nan", "inf"} & set(path.read_text().lower().replace(",", " ").split())


def test_weights_that_are_not_finite_are_not_written(tmp_path, monkeypatch):
    original = Trainer._update

    def update(self, *arguments):
        original(self, *arguments)
        if self.progress.step == 12:
            next(self.model.parameters()).data.view(-1)[0] = math.inf

    monkeypatch.setattr(Trainer, "_update", update)
    with pytest.raises(anymae.Diverged):
        pretrain(tmp_path / "run")
    names = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-000000005", "step-000000010"]
