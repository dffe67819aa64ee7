"""A run that is told to stop stops, workers and all."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest


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
