"""Killed, stopped, damaged, out of space: what goes on is the run that nobody disturbed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

import anymae
from anymae.cli import main
from anymae.training import held_out, trainer
from anymae.training.checkpoint import Checkpoints, Circumstances, Snapshot
from anymae.training.trainer import Trainer

from ..training.small import curve, cut_short, digits, pretrain, weights
from .runs import ALL, small_run

HERE = Path(__file__).parent
PROGRAM = [sys.executable, "-m", "anymae"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> anymae.Run:
    """The run nobody disturbed."""
    return pretrain(tmp_path_factory.mktemp("whole") / "run")


def is_the_same(run: anymae.Run, whole: anymae.Run) -> bool:
    return weights(run) == weights(whole) and curve(run) == curve(whole)


# Killed


def killed_and_started_again(place: Path, kills: int, seed: int) -> str:
    command = [sys.executable, str(HERE / "kills.py"), str(place), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log = place / "log"
    said = log.read_text() if log.exists() else ""
    assert done.returncode == 0, f"{done.stderr[-2000:]}\n{said[-2000:]}"
    return done.stdout


def test_a_run_killed_at_any_moment_is_the_run_that_was_not(tmp_path):
    assert "2 kills" in killed_and_started_again(tmp_path, 2, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_fifty_times_is_the_run_that_was_not(tmp_path):
    assert "50 kills" in killed_and_started_again(tmp_path, 50, seed=1)


@pytest.mark.parametrize("modality", ALL)
def test_every_modality_resumes_to_the_same_bits(tmp_path, monkeypatch, modality):
    whole = small_run(modality, tmp_path / "whole")
    cut_short(monkeypatch, 4, lambda: small_run(modality, tmp_path / "cut"))
    assert is_the_same(small_run(modality, tmp_path / "cut"), whole)


def test_what_a_killed_process_left_half_written_is_cleared(whole, tmp_path, monkeypatch):
    run = tmp_path / "run"
    cut_short(monkeypatch, 6, lambda: pretrain(run))
    for name in (".tmp-model-1", "checkpoints/.tmp-step-000000007-1"):
        (run / name).mkdir()
        (run / name / "model.safetensors").write_bytes(b"half")
    (run / ".tmp-history.csv-1").write_text("step")
    assert is_the_same(pretrain(run), whole)
    assert not list(run.rglob(".tmp-*"))


# Asked to stop


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def once(monkeypatch: pytest.MonkeyPatch, place: object, name: str, act: Callable) -> Iterator:
    """Let ``act`` happen just before the first call of a function."""
    original, calls = getattr(place, name), []

    def first(*arguments, **options):
        if not calls:
            calls.append(0)
            act()
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, first)
        yield


@pytest.mark.parametrize(
    ("place", "name", "step"),
    [
        (Trainer, "_validate", 4),  # which is given up, and done when the run goes on
        (held_out, "autocast", 5),  # in its last batch
        (trainer, "write_history", 3),
        (Trainer, "_save", 6),
        (Checkpoints, "save", 6),
    ],
)
def test_a_stop_during_anything_else_than_a_step_is_as_good(
    whole, tmp_path, monkeypatch, place, name, step
):
    """In validation (the fourth step is validated), while history or a checkpoint is written."""
    settings = {"training.validate_every": 4}
    if name == "write_history":
        settings["training.log_every"] = 2
    undisturbed = pretrain(tmp_path / "undisturbed", **settings)
    with (
        once(monkeypatch, place, name, ask_to_stop),
        pytest.raises(anymae.AnyMAEError, match="stopped after step") as stopped,
    ):
        pretrain(tmp_path / "run", **settings)
    assert stopped.value.status == 130
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert int(newest.name[5:]) == step
    assert is_the_same(pretrain(tmp_path / "run", **settings), undisturbed)


def command_of(tmp_path: Path, *more: str) -> list[str]:
    np.save(tmp_path / "images.npy", digits())
    return [
        *PROGRAM, "pretrain", str(tmp_path / "images.npy"), "-m", "image", "--size", "nano",
        "--batch-size", "16", "--out", str(tmp_path / "run"),
        "--set", "training.log_every=1", *more,
    ]  # fmt: skip


def catches_sigterm(process: int) -> bool:
    """Whether a process has come as far as to handle the signal; before, none of its code ran."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for signals in /proc")
@pytest.mark.parametrize("seconds", [0, 0.7, 2])
def test_a_stop_in_the_first_seconds_blocks_nothing(tmp_path, seconds):
    command = command_of(tmp_path, "--steps", "100000")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not catches_sigterm(process.pid):
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    config = tmp_path / "run" / "config.json"
    assert not config.exists() or json.loads(config.read_text())


# Damaged


def saved(folder: Path, step: int, keep: int = 2, spare: int = 0) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep, lambda text: None)
    here = Circumstances.here(1, torch.device("cpu"))
    snapshot = Snapshot(step, {"model": {"a": torch.full((3,), float(step))}}, {"n": step}, here)
    checkpoints.save(snapshot, spare)
    return checkpoints


WANTED = {"model": {"a": (torch.Size([3]), torch.float32)}}


def spoil_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "another step's tensors": lambda new: shutil.copy(
        new.parent / "step-000000005" / "model.safetensors", new / "model.safetensors"
    ),
    "another step's folder": lambda new: (
        shutil.rmtree(new),
        shutil.copytree(new.parent / "step-000000005", new),
    ),
    "no files": lambda new: spoil_manifest(new, files={}),
    "a list of files": lambda new: spoil_manifest(new, files=["model.safetensors"]),
    "a step in words": lambda new: spoil_manifest(new, step="ten"),
    "an entry outside": lambda new: spoil_manifest(
        new, files={"../../state.json": {"size": 1, "sha256": "0"}}
    ),
    "no state": lambda new: (new / "state.json").unlink(),
    "a folder of nothing": lambda new: [p.unlink() for p in new.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    saved(tmp_path, 5)
    checkpoints = saved(tmp_path, 10)
    said = []
    checkpoints.warn = said.append
    DAMAGE[damage](tmp_path / "step-000000010")
    assert checkpoints.newest(WANTED).step == 5
    assert "step-000000010 is damaged and not used" in said[0]


def test_foreign_names_are_no_checkpoints(tmp_path):
    checkpoints = saved(tmp_path, 5)
    for name in ("step-new", "step-", ".tmp-step-000000009-1", "notes"):
        (tmp_path / name).mkdir()
    assert checkpoints.steps() == [5]


def test_the_checkpoint_that_a_run_may_go_back_to_is_deleted_last(tmp_path):
    for step in (5, 10, 12, 13):
        checkpoints = saved(tmp_path, step, spare=10)
    assert checkpoints.steps() == [10, 13]
    assert saved(tmp_path, 14, keep=1, spare=10).steps() == [14]


def test_a_state_that_is_not_ours_is_refused(tmp_path, monkeypatch):
    cut_short(monkeypatch, 6, lambda: pretrain(tmp_path / "run"))
    original = Checkpoints.newest

    def newest(self, *arguments):
        snapshot = original(self, *arguments)
        return Snapshot(snapshot.step, snapshot.tensors, {"steps": 3}, snapshot.circumstances)

    monkeypatch.setattr(Checkpoints, "newest", newest)
    with pytest.raises(anymae.CheckpointError, match=r"checkpoint of step 6.*steps"):
        pretrain(tmp_path / "run")


# Other circumstances, other versions


def test_another_number_of_threads_is_said(tmp_path, monkeypatch, capsys):
    cut_short(monkeypatch, 6, lambda: pretrain(tmp_path / "run"))
    torch.set_num_threads(2)
    try:
        pretrain(tmp_path / "run")
    finally:
        torch.set_num_threads(1)
    assert "exactly but for rounding: step 6 was computed with threads 1, now 2" in (
        capsys.readouterr().err
    )


def test_a_newer_format_is_refused_and_nothing_older_used(tmp_path):
    saved(tmp_path, 5)
    checkpoints = saved(tmp_path, 10)
    spoil_manifest(tmp_path / "step-000000010", format=2, unheard_of=[])
    with pytest.raises(anymae.CheckpointError, match=r"newer anymae; found format 2.*at most 1"):
        checkpoints.newest(WANTED)


@pytest.mark.parametrize("version", sorted(p.name for p in (HERE / "released").iterdir()))
def test_runs_of_every_version_go_on(tmp_path, version, capsys):
    run = shutil.copytree(HERE / "released" / version, tmp_path / "run")
    assert main(["resume", str(run), str(run / "images.npy")]) == 0
    assert "continuing" in capsys.readouterr().err
    assert (run / "history.csv").read_text().count("\n") == 7
    assert anymae.load(run).embed(np.load(run / "images.npy")).shape == (12, 8)


# No room


def test_a_limit_on_file_size_costs_no_checkpoint(tmp_path):
    """Of the operating system, from the third checkpoint on."""
    whole = pretrain(tmp_path / "whole")
    largest = max(p.stat().st_size for p in (whole.path / "checkpoints").rglob("*"))
    script = tmp_path / "limited.py"
    script.write_text(LIMITED)
    place = [str(HERE.parents[1]), str(tmp_path / "run"), str(largest * 2 // 3)]
    done = subprocess.run([sys.executable, str(script), *place], capture_output=True, text=True)
    assert "optimiser.safetensors: cannot be written" in done.stdout
    assert "File too large" in done.stdout
    assert "untouched" in done.stdout
    left = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["step-000000005", "step-000000010"]
    assert is_the_same(pretrain(tmp_path / "run"), whole)


LIMITED = """
import importlib, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True, warn_only=True)
import anymae
from anymae.training.trainer import Trainer
small = importlib.import_module("tests.training.small")
original = Trainer._save
def save(self):
    if self.progress.step == 15:
        before = {p: p.read_bytes() for p in self.checkpoints.folder.rglob("*") if p.is_file()}
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
        try:
            original(self)
        finally:
            after = {p: p.read_bytes() for p in self.checkpoints.folder.rglob("*") if p.is_file()}
            print("untouched" if before == after else "touched")
    original(self)
Trainer._save = save
try:
    small.pretrain(Path(sys.argv[2]))
except anymae.CheckpointError as error:
    print(error)
"""


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_no_checkpoint(tmp_path):
    whole, disk = pretrain(tmp_path / "whole"), tmp_path / "disk"
    checkpoint = bytes_in(whole.path / "checkpoints" / "step-000000020")
    room = 2 * bytes_in(whole.path)
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        (disk / "ballast").write_bytes(b"0" * (room - checkpoint * 5 // 2))
        with pytest.raises(anymae.CheckpointError, match=r"No space left.*MB free"):
            pretrain(disk / "run")
        names = sorted(p.name for p in (disk / "run" / "checkpoints").iterdir())
        assert names == ["step-000000005", "step-000000010"]
        (disk / "ballast").unlink()
        assert is_the_same(pretrain(disk / "run"), whole)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# One owner


def test_a_second_start_is_refused_and_the_first_unharmed(whole, tmp_path, monkeypatch):
    refused = []

    def start_again() -> None:
        with pytest.raises(anymae.BadConfig, match="another process is training in this folder"):
            pretrain(tmp_path / "run")
        refused.append(True)

    with once(monkeypatch, Trainer, "backward", start_again):
        run = pretrain(tmp_path / "run")
    assert refused
    assert is_the_same(run, whole)


def test_workers_of_a_killed_run_do_not_keep_its_folder(tmp_path):
    """Only the main process is killed; its workers notice some seconds later."""
    command = command_of(tmp_path, "--steps", "100000", "--set", "training.workers=2")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "history.csv").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.wait()
        from anymae.training.lock import owned

        with owned(tmp_path / "run", print):
            pass
        os.killpg(process.pid, signal.SIGKILL)
