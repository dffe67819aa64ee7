"""A run that is told to stop stops, workers and all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from .small import pretrain, weights


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_ends_with_its_status(tmp_path, workers):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 255, (64, 8, 8), "uint8"))
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "anymae", "pretrain", str(tmp_path / "images.npy"), "-m", "image",
        "--size", "nano", "--steps", "100000", "--out", str(out),
        "--set", f"training.workers={workers}", "--set", "training.log_every=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not (out / "history.csv").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)  # schedulers tell the workers too
        _, said = process.communicate(timeout=60)
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    assert process.returncode == 130
    assert "checkpoint written" in said
    assert list((out / "checkpoints").iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_second_signal_ends_a_run_at_once_with_its_workers(tmp_path):
    """The first is heard at the end of a step, and this one's third does not end."""
    script = tmp_path / "script.py"
    script.write_text(STUCK)
    root = Path(__file__).parents[2]
    command = [sys.executable, str(script), str(root), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            workers = [int(one) for one in process.stdout.readline().split()]
            assert len(workers) == 2
            process.terminate()
            time.sleep(0.5)
            assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=5) == 130
        finally:
            process.kill()
    deadline = time.monotonic() + 30  # they look for their parent every five seconds
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert weights(pretrain(tmp_path / "run")) == weights(pretrain(tmp_path / "whole"))


STUCK = """
import importlib, multiprocessing, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from anymae.training.trainer import Trainer
small = importlib.import_module("tests.training.small")
original = Trainer.backward
def backward(self, *arguments):
    if self.progress.step == 2:
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(600)
    return original(self, *arguments)
Trainer.backward = backward
small.pretrain(Path(sys.argv[2]), **{"training.workers": 2})
"""
