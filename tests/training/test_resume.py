"""A run that is stopped and continued is the run that was not, to the bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.cli import main
from anymae.training.trainer import Trainer

from .small import curve, digits, pretrain, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> anymae.Run:
    """The run nobody disturbed."""
    return pretrain(tmp_path_factory.mktemp("whole") / "run")


def disturb(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    """Let ``act`` happen once, while training prepares to compute ``step``."""
    original = Trainer.step

    def disturbed(trainer, batch, stop):
        if trainer.progress.step == step:
            monkeypatch.undo()
            act()
        return original(trainer, batch, stop)

    monkeypatch.setattr(Trainer, "step", disturbed)


class Killed(BaseException):
    """Stands for a process that is simply gone."""


def die() -> None:
    raise Killed


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_two_runs_of_the_same_command_are_the_same_run(whole, tmp_path):
    again = pretrain(tmp_path / "run")
    assert weights(again) == weights(whole)
    assert curve(again) == curve(whole)


@pytest.mark.parametrize("step", [1, 7, 10, 19])
def test_a_killed_run_resumes_to_the_same_bits(whole, tmp_path, monkeypatch, step):
    disturb(monkeypatch, step, die)
    with pytest.raises(Killed):
        pretrain(tmp_path / "run")
    again = pretrain(tmp_path / "run")
    assert weights(again) == weights(whole)
    assert curve(again) == curve(whole)


def test_a_run_killed_before_its_first_checkpoint_resumes_from_the_beginning(
    whole, tmp_path, monkeypatch, capsys
):
    np.save(tmp_path / "images.npy", digits())
    disturb(monkeypatch, 3, die)
    with pytest.raises(Killed):
        pretrain(tmp_path / "run", tmp_path / "images.npy")
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert main(["resume", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert f"no checkpoint in {tmp_path / 'run'} yet: starting from the beginning" in said
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == weights(whole)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_stop_signal_leaves_a_checkpoint_of_the_last_finished_step(
    whole, tmp_path, monkeypatch, workers
):
    disturb(monkeypatch, 8, ask_to_stop)
    with pytest.raises(anymae.AnyMAEError, match="stopped after step 9 of 20") as stopped:
        pretrain(tmp_path / "run")
    assert stopped.value.status == 130
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert newest.name == "step-000000009"
    again = pretrain(tmp_path / "run", **{"training.workers": workers})
    assert weights(again) == weights(whole)
    assert curve(again) == curve(whole)


def test_global_generators_are_neither_read_nor_moved(whole, tmp_path):
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (the global generator is the point)
    random.seed(99)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    again = pretrain(tmp_path / "run")
    after = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert weights(again) == weights(whole)
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]


def test_another_seed_is_another_run(whole, tmp_path):
    assert weights(pretrain(tmp_path / "run", seed=1)) != weights(whole)


def test_a_finished_run_is_returned_as_it_is(whole):
    again = pretrain(whole.path)
    assert weights(again) == weights(whole)
    assert [r["loss"] for r in again.history] == [r["loss"] for r in whole.history]


def test_the_saved_configuration_repeats_the_run(whole, tmp_path):
    from anymae.training.run import read_run_config

    arguments = read_run_config(whole.path).arguments()
    again = anymae.pretrain(digits(), out=tmp_path / "run", **arguments)
    assert weights(again) == weights(whole)


DAMAGE = {
    "cut": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size * 2 // 3]),
    "bit": lambda p: p.write_bytes(p.read_bytes()[:-1] + bytes([p.read_bytes()[-1] ^ 1])),
    "empty": lambda p: p.write_bytes(b""),
    "gone": lambda p: p.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_never_used(whole, tmp_path, monkeypatch, capsys, damage, name):
    if (damage, name) == ("bit", "manifest.json"):
        pytest.skip("a manifest is text; a flipped closing brace is the 'cut' case")
    disturb(monkeypatch, 12, die)
    with pytest.raises(Killed):
        pretrain(tmp_path / "run")
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    DAMAGE[damage](newest / name)
    again = pretrain(tmp_path / "run")
    assert weights(again) == weights(whole)
    assert f"{newest.name} is damaged" in capsys.readouterr().err


def test_when_every_checkpoint_is_damaged_nothing_is_overwritten(tmp_path, monkeypatch):
    disturb(monkeypatch, 12, die)
    with pytest.raises(Killed):
        pretrain(tmp_path / "run")
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir())
    for folder in checkpoints:
        (folder / "state.json").write_text("{}")
    with pytest.raises(anymae.CheckpointError, match="every checkpoint is damaged"):
        pretrain(tmp_path / "run")
    assert sorted((tmp_path / "run" / "checkpoints").iterdir()) == checkpoints


def test_no_more_than_keep_checkpoints_and_no_unfinished_one(whole):
    names = sorted(p.name for p in (whole.path / "checkpoints").iterdir())
    assert names == ["step-000000015", "step-000000020"]


def test_a_folder_belongs_to_one_configuration(whole):
    with pytest.raises(anymae.BadConfig, match=r"another seed.*found 1; expected 0"):
        pretrain(whole.path, seed=1)
    with pytest.raises(anymae.BadConfig, match=r"another model\.encoder\.width"):
        pretrain(whole.path, size=anymae.EncoderConfig(width=48, depth=2, heads=2))
    with pytest.raises(anymae.BadConfig, match=r"another training.lr"):
        pretrain(whole.path, lr=1e-5)
    with pytest.raises(anymae.BadConfig, match="already"):
        pretrain(whole.path, resume="never")
    with pytest.raises(anymae.BadConfig, match="another data"):
        pretrain(whole.path, data=digits(180))


def test_resume_must_needs_a_run(tmp_path):
    with pytest.raises(anymae.BadConfig, match="no run to resume"):
        pretrain(tmp_path / "run", resume="must")


def test_a_folder_has_one_owner(tmp_path):
    from anymae.training.lock import owned

    code = (
        "import pathlib, sys; from anymae.training.lock import owned\n"
        "with owned(pathlib.Path(sys.argv[1]), print): print('mine')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with owned(tmp_path, print):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    allowed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another process is training in this folder" in refused.stderr
    assert allowed.stdout == "mine\n"


def test_a_full_disk_leaves_older_checkpoints_and_says_so(whole, tmp_path, monkeypatch):
    from anymae import storage

    folder = tmp_path / "run"
    disturb(monkeypatch, 7, die)
    with pytest.raises(Killed):
        pretrain(folder)
    before = {p: p.read_bytes() for p in (folder / "checkpoints").rglob("*") if p.is_file()}
    monkeypatch.setattr(storage, "save_file", _no_room)
    with pytest.raises(anymae.CheckpointError, match=r"model\.safetensors.*No space left"):
        pretrain(folder)
    monkeypatch.undo()
    after = {p: p.read_bytes() for p in (folder / "checkpoints").rglob("*") if p.is_file()}
    assert before == after
    assert weights(pretrain(folder)) == weights(whole)


def _no_room(tensors, path):
    Path(path).write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_the_run_folder_holds_what_it_promises(whole, tmp_path):
    assert {"config.json", "history.csv", "model", "checkpoints"} <= set(os.listdir(whole.path))
    moved = shutil.copytree(whole.path, tmp_path / "moved")
    loaded = anymae.load(moved)
    assert np.array_equal(loaded.embed(digits(8)), whole.model.embed(digits(8)))
