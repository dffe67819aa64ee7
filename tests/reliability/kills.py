"""A run on ragged sounds is killed again and again and started again: a program, for test_resume.

    python kills.py FOLDER KILLS SEED

Half of the kills come at any moment, half just after something new appears in ``checkpoints/``.
Each start has another number of loader workers. Where a run ends, it must be the run nobody killed;
the kills that are left are for the next one.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

import anymae
from anymae.training.history import read_history

torch.set_num_threads(1)
KEEP = 2
CLOCK = ("seconds", "tokens_per_second", "samples_per_second", "waiting")


def sounds() -> list[tuple[np.ndarray, int]]:
    """48 tones of 0.1 to 0.8 seconds."""
    draw = np.random.default_rng(0)
    lengths = np.linspace(800, 6400, 48).astype(int)
    return [
        (np.sin(np.arange(n) * draw.uniform(0.05, 0.5)).astype(np.float32), 8000) for n in lengths
    ]


DATA = sounds()


def train(out: Path, workers: int) -> None:
    anymae.pretrain(
        DATA, "audio", out=out, size=anymae.EncoderConfig(width=32, depth=2, heads=2),
        steps=120, batch_size=8, precision="fp32", validation=0.2,
        **{"training.checkpoint_every": 10, "training.keep": KEEP, "training.log_every": 1,
           "training.validate_every": 25, "training.workers": workers},
    )  # fmt: skip


def started(out: Path, workers: int, log: Path) -> int:
    """A process of its own session that trains; returns its id."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    try:
        train(out, workers)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
    os._exit(0)


def ended(child: int, wait: bool = False) -> int | None:
    """The exit status of a child, None while it runs."""
    found, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def entries(out: Path) -> set[str]:
    folder = out / "checkpoints"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def killed(child: int, out: Path, draw: random.Random, at_checkpoint: bool, longest: float) -> bool:
    """Kill a child and its workers at its moment; False if it was done before."""
    before, deadline = entries(out), time.monotonic() + draw.uniform(0, longest)
    while (entries(out) <= before) if at_checkpoint else (time.monotonic() < deadline):
        status = ended(child)
        if status is not None:
            assert status == 0, "a run failed by itself"
            return False
        time.sleep(0.001)
    if at_checkpoint:
        time.sleep(draw.uniform(0, 0.03))
    os.killpg(child, signal.SIGKILL)
    return ended(child, wait=True) != 0


def result(out: Path) -> tuple[bytes, list[dict]]:
    rows = read_history(out / "history.csv")
    curve = [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]
    return (out / "model" / "model.safetensors").read_bytes(), curve


def prove(folder: Path, kills: int, seed: int) -> None:
    draw, log = random.Random(seed), folder / "log"
    begun = time.monotonic()
    assert ended(started(folder / "whole", 2, log), wait=True) == 0
    longest = (time.monotonic() - begun) / 3
    whole = result(folder / "whole")
    assert [row["step"] for row in whole[1]] == list(range(1, 121))
    done = runs = start = 0
    while done < kills:
        out = folder / f"run-{runs}"
        finished = False
        while not finished:
            child = started(out, workers=start % 4, log=log)
            if done < kills and killed(child, out, draw, draw.random() < 0.5, longest):
                done += 1
            else:
                status = ended(child, wait=True) if done >= kills else 0
                assert status == 0, "a run failed by itself"
                finished = True
            start += 1
            complete = [name for name in entries(out) if name.startswith("step-")]
            assert len(complete) <= KEEP + 1, complete
        runs += 1
        assert len(entries(out)) == KEEP, entries(out)
        assert not list(out.glob(".tmp-*")), list(out.iterdir())
        assert result(out) == whole, f"run {runs} is another run"
    print(f"{done} kills, {start} starts, {runs} runs: all the run nobody killed")


if __name__ == "__main__":
    prove(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
