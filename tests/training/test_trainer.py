"""The loop itself: what a step computes, on one process or several, and what it refuses."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.training.trainer import Trainer

from .small import curve, digits, pretrain, weights


def test_training_beats_the_trivial_predictors(tmp_path):
    pictures = [anymae.modalities()["image"]().example(seed)[:, :16] for seed in range(256)]
    run = pretrain(
        tmp_path / "run",
        np.stack(pictures),
        steps=300,
        batch_size=32,
        lr=3e-3,
        modality_options={"crop_scale": None, "patch_size": 4},
        **{"target.normalise": "none", "training.log_every": 50},
    )
    assert run.history[-1]["explained_variance"] > 0.25
    assert run.history[-1]["validation_explained_variance"] > 0.25


def test_accumulated_micro_batches_are_the_same_step(tmp_path):
    whole = pretrain(tmp_path / "a")
    parts = pretrain(tmp_path / "b", **{"training.micro_tokens": 50})
    for one, other in zip(curve(whole), curve(parts), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_epochs_are_exact_and_the_last_batch_may_be_short(tmp_path):
    run = pretrain(tmp_path / "run", steps=None, epochs=1, validation=None, batch_size=64)
    assert [row["step"] for row in run.history] == [1, 2, 3, 4]  # 200 = 3 x 64 + 8


def test_skipped_steps_change_nothing_but_a_counter(tmp_path, monkeypatch):
    original = Trainer.backward
    poisoned = []

    def backward(self, parts, count, also):
        loss = original(self, parts, count, also)
        if self.progress.step == 3 and not poisoned:
            poisoned.append({k: v.clone() for k, v in self.model.state_dict().items()})
            next(p for p in self.model.parameters() if p.grad is not None).grad.fill_(math.nan)
        if self.progress.step == 4:
            assert all(torch.equal(v, poisoned[0][k]) for k, v in self.model.state_dict().items())
        return loss

    monkeypatch.setattr(Trainer, "backward", backward)
    run = pretrain(tmp_path / "run")
    assert run.history[-1]["skipped_steps"] == 1
    assert all(np.isfinite(run.model.embed(digits(4))).all() for _ in [0])


def test_bad_samples_stop_a_run_and_name_the_file(tmp_path):
    folder = _folder_of_digits(tmp_path / "data", broken=1)
    with pytest.raises(anymae.BadInput, match=r"broken-0\.png.*cannot be decoded"):
        pretrain(tmp_path / "run", folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_samples_are_listed_and_bounded(tmp_path, workers):
    settings = {"training.on_bad_sample": "skip", "training.workers": workers, "validation": None}
    folder = _folder_of_digits(tmp_path / "few", broken=1)
    run = pretrain(tmp_path / "a", folder, **settings)
    with open(run.path / "bad_samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all("broken-0.png" in row["where"] for row in rows)
    folder = _folder_of_digits(tmp_path / "many", broken=40)
    with pytest.raises(anymae.BadInput, match="too many bad samples"):
        pretrain(tmp_path / "b", folder, **settings)


def _folder_of_digits(folder: Path, broken: int) -> Path:
    from PIL import Image

    folder.mkdir()
    for i, image in enumerate(digits(40)):
        Image.fromarray(image).save(folder / f"{i:03d}.png")
    for i in range(broken):
        (folder / f"broken-{i}.png").write_bytes((folder / "000.png").read_bytes()[:40])
    return folder


def test_weights_are_deterministic_with_workers(tmp_path):
    assert weights(pretrain(tmp_path / "a", **{"training.workers": 2})) == weights(
        pretrain(tmp_path / "b", **{"training.workers": 0})
    )
