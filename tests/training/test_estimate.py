"""An estimate is measured on the run's own steps, and leaves nothing behind."""

from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.cli.main import main
from anymae.memory import peak_memory
from anymae.training.estimate import Estimate
from tests.training.small import ENCODER, digits, pretrain


def asked(**changes):
    settings = {"size": ENCODER, "batch_size": 16, "steps": 40, "precision": "fp32", **changes}
    return anymae.estimate(digits(), "image", **settings)


def example(**changes) -> Estimate:
    numbers = {
        "samples": 100, "steps": 1000, "batch_size": 10, "parameters": 2_500_000, "compute": 0.5,
        "prepare": 1.2, "workers": 2, "memory": 3 * 2**30, "checkpoint": 30 * 2**20,
        "device": "cpu", "precision": "bf16",
    }  # fmt: skip
    return Estimate(**(numbers | changes))


def test_what_a_run_is_made_of_is_what_the_run_has(tmp_path):
    found = asked(validation=0.1, **{"training.ema": 0.9})
    run = pretrain(tmp_path / "run", steps=1)
    assert found.parameters == sum(p.numel() for p in run.model.parameters())
    assert (found.steps, found.batch_size, found.samples) == (40, 16, 180)
    saved = sum(p.stat().st_size for p in run.path.glob("checkpoints/*/*.safetensors"))
    assert found.checkpoint == pytest.approx(saved, rel=0.2)


def test_time_follows_the_batch():
    few, many = asked(batch_size=4), asked(batch_size=128)
    assert many.compute > 2 * few.compute
    assert many.prepare > 2 * few.prepare


def test_loader_processes_work_while_the_model_does():
    assert example().step_seconds == 0.6
    assert example(workers=0).step_seconds == 1.7
    assert example(workers=4).step_seconds == 0.5
    assert example(workers=4).seconds == 500
    text = str(example())
    assert "2.5 M parameters" in text
    assert "3,072 MiB of memory" in text
    assert "30 MiB a checkpoint" in text


def test_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked()
    assert list(tmp_path.iterdir()) == []


def test_what_pretrain_refuses_is_refused():
    with pytest.raises(anymae.BadConfig, match="batch_sise"):
        asked(batch_sise=3)
    with pytest.raises(anymae.BadConfig, match="epochs"):
        asked(epochs=3)
    with pytest.raises(anymae.BadInput):
        anymae.estimate(np.zeros((0, 8, 8)), "image")


def test_the_command_line_says_it_and_trains_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("digits.npy", digits())
    words = ["pretrain", "digits.npy", "-m", "image", "--size", "nano", "--steps", "7"]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "7 steps" in said
    assert "MiB of memory" in said
    assert [path.name for path in Path().iterdir()] == ["digits.npy"]


def test_peak_memory_is_a_peak():
    before = peak_memory(torch.device("cpu"))
    torch.ones(before // 4).sum()  # four bytes each
    assert peak_memory(torch.device("cpu")) > 1.5 * before
