"""Starting several processes with torchrun, and judging whether they computed what one does."""

import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import anymae
from anymae.training.history import read_history

HERE = Path(__file__).parent


def torchrun(processes: int, *arguments: object) -> list[str]:
    """The command that starts a program on so many processes of this machine."""
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes),
        "--master-port", str(free_port()), *(str(a) for a in arguments),
    ]  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def on_ranks(processes: int, folder: Path, *cases: str, timeout: int = 280) -> None:
    """Train cases (see ranks.py) on several processes, each in a folder named by its number."""
    command = torchrun(processes, HERE / "ranks.py", folder, *cases)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def weights_apart(one: anymae.Model, other: anymae.Model) -> float:
    """The distance of two models' weights, relative to their norm."""
    theirs = other.state_dict()
    apart = size = 0.0
    for name, ours in one.state_dict().items():
        apart += float((ours.double() - theirs[name].double()).square().sum())
        size += float(ours.double().square().sum())
    return math.sqrt(apart / size)


def is_as_one(many: Path, one: anymae.Run) -> None:
    """What several processes made of a run is what one made of it, but for rounding."""
    theirs = read_history(many / "history.csv")
    assert len(theirs) == len(one.history)
    first, mine = theirs[0], one.history[0]
    assert math.isclose(first["loss"], mine["loss"], rel_tol=1e-6)
    assert math.isclose(first["grad_norm"], mine["grad_norm"], rel_tol=2e-6)
    for row, own in zip(theirs, one.history, strict=True):
        assert math.isclose(row["loss"], own["loss"], rel_tol=1e-5), (row["step"], row, own)
        if "validation_loss" in own:
            assert math.isclose(row["validation_loss"], own["validation_loss"], rel_tol=1e-5)
        assert row["skipped_steps"] == own["skipped_steps"]
    assert weights_apart(one.model, anymae.load(many)) <= 1e-5
