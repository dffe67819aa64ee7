"""Starting several processes with torchrun, and judging whether they computed what one does."""

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

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


def children(process: int) -> list[int]:
    """The processes that one started."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in found.split()]


def on_ranks(
    processes: int, folder: Path, cases: Iterable[Mapping[str, Any]], restarts: int = 0
) -> str:
    """Train cases (see ranks.py) on several processes of one launch, which torchrun starts again so
    many times; returns what they said."""
    texts = [json.dumps(case) for case in cases]
    command = torchrun(processes, "--max-restarts", restarts, HERE / "ranks.py", folder, *texts)
    threads = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=threads
    )
    assert done.returncode == 0, done.stderr[-9000:]
    return done.stderr


def weights_apart(one: anymae.Model, other: anymae.Model) -> float:
    """The distance of two models' weights, relative to their norm; without the biases of keys.

    Those shift all scores of a row alike, so their gradient is nothing but rounding, and Adam
    divides it by its own size.
    """
    mine, theirs = _without_key_biases(one), _without_key_biases(other)
    apart = sum(float((ours - theirs[name]).square().sum()) for name, ours in mine.items())
    size = sum(float(ours.square().sum()) for ours in mine.values())
    return math.sqrt(apart / size)


def _without_key_biases(model: anymae.Model) -> dict[str, torch.Tensor]:
    found = {name: tensor.double() for name, tensor in model.state_dict().items()}
    for name in [name for name in found if name.endswith("qkv.bias")]:
        query, _, value = found[name].chunk(3)
        found[name] = torch.cat([query, value])
    return found


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
