"""Several processes compute what one does, stop together, and leave no orphan."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import anymae
from anymae.training.history import read_history

from ..data.tiny import tar
from . import formats
from .launching import HERE, children, free_port, is_as_one, on_ranks, torchrun, weights_apart
from .runs import ALL, small_run

FEW = [
    {"modality": "image", "batch_size": 1},
    {"modality": "image", "batch_size": 5, "views": 3, "training.clip": 0.5},
    {"modality": "timeseries", "training.micro_tokens": 30},
    {"modality": "joint", "epochs": 1, "steps": None},
    {"modality": "image", "training.ema": 0.9, "strategy": "fsdp"},
]
MANY = [
    {"modality": modality, **changes}
    for modality in ALL
    for changes in ({}, {"training.micro_tokens": 40}, {"batch_size": 1}, {"batch_size": 8})
]
"""Every modality whole and in micro-batches, with one sample a step, and divisible by two."""


def are_as_one(processes: int, folder: Path, cases: list[dict]) -> None:
    named = [case | {"out": str(number)} for number, case in enumerate(cases)]
    on_ranks(processes, folder, named)
    for number, case in enumerate(cases):
        alone = case | {"strategy": "auto"}
        one = small_run(out=folder / f"one-{number}", **alone)
        is_as_one(folder / str(number), one)


def test_two_processes_are_one(tmp_path):
    """With a sample less than processes, several views, micro-batches, a short last batch, samples
    that lack a modality, and sharded."""
    are_as_one(2, tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("part", range(4))
def test_several_processes_are_one_for_every_modality(tmp_path, processes, part):
    are_as_one(processes, tmp_path, MANY[part * 8 : part * 8 + 8])


@pytest.mark.slow
def test_processes_stop_together_and_any_number_goes_on(tmp_path):
    """Only the last process is told to stop. Gradients that are NaN in one are bad in all."""
    run = {"modality": "image", "poison": 6}
    said = on_ranks(2, tmp_path, [
        run | {"out": "whole"},
        run | {"out": "two", "stop": 4}, run | {"out": "two"},
        run | {"out": "one", "stop": 4}, run | {"out": "three", "stop": 4},
    ])  # fmt: skip
    assert said.count("stopped after step 4 of 8") == 6
    whole = anymae.load(tmp_path / "whole")
    assert read_history(tmp_path / "whole" / "history.csv")[-1]["skipped_steps"] == 1
    assert weights_apart(whole, anymae.load(tmp_path / "two")) == 0
    on_ranks(3, tmp_path, [run | {"out": "three"}])
    assert 0 < weights_apart(whole, anymae.load(tmp_path / "three")) <= 1e-5


@pytest.mark.slow
def test_two_nodes_are_one(tmp_path):
    case = {"modality": "image", "out": "many", "training.workers": 1}
    command = [HERE / "two_nodes.sh", "2", HERE / "ranks.py", tmp_path, json.dumps(case)]
    settings = {"PYTHON": sys.executable, "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    manifests = sorted(tmp_path.glob("many/checkpoints/*/manifest.json"))
    assert json.loads(manifests[-1].read_text())["circumstances"]["processes"] == 4
    is_as_one(tmp_path / "many", small_run("image", tmp_path / "one"))


# A process that is lost


@pytest.mark.slow
@pytest.mark.parametrize("lost", [2, 6])
def test_torchrun_starts_a_lost_process_again(tmp_path, lost):
    """All of them: before the first checkpoint (of step 3) from the beginning, then from it."""
    case = {"modality": "image", "training.workers": 1}
    said = on_ranks(2, tmp_path, [case | {"out": "run", "lost": lost}], restarts=1)
    assert "Signal 9 (SIGKILL)" in said or "exitcode: -9" in said
    assert ("after step 3" in said) == (lost == 6)
    on_ranks(2, tmp_path, [case | {"out": "whole"}])
    whole = anymae.load(tmp_path / "whole")
    assert weights_apart(whole, anymae.load(tmp_path / "run")) == 0
    curves = [
        [(row["step"], row["loss"]) for row in read_history(tmp_path / name / "history.csv")]
        for name in ("run", "whole")
    ]
    assert curves[0] == curves[1]
    assert not list((tmp_path / "run").rglob(".tmp-*"))


def long_run(tmp_path: Path) -> list[str]:
    """A run that nobody waits for, on two processes, each with a copy of the data."""
    for rank in ("0", "1"):
        (tmp_path / rank).mkdir()
        tar(tmp_path / rank / "x.tar", [(f"{i:02d}.png", formats.png(i)) for i in range(64)])
    return torchrun(
        2, "--no-python", "sh", "-c", 'data="$1/$RANK/x.tar" && shift && exec "$@" "$data"', "sh",
        tmp_path, sys.executable, "-m", "anymae", "pretrain", "-m", "image", "--size", "nano",
        "--steps", 100000, "--batch-size", 8, "--out", tmp_path / "run",
        "--set", "training.checkpoint_every=20", "--set", "training.log_every=1",
    )  # fmt: skip


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
@pytest.mark.parametrize("victim", ["a process", "the launcher", "the data of one"])
def test_a_lost_process_ends_the_job(tmp_path, victim):
    """So do data of which one process's copy ends early, which that process says last."""
    with open(tmp_path / "said", "w") as said:
        job = subprocess.Popen(long_run(tmp_path), stderr=said, stdout=said, start_new_session=True)
    workers: list[int] = []
    try:
        wait_for(lambda: len(list((tmp_path / "run").glob("checkpoints/step-*"))) == 2, 120)
        workers = children(job.pid)
        assert len(workers) == 2
        if victim == "the data of one":
            os.truncate(tmp_path / "1" / "x.tar", 8000)
        else:
            os.kill(workers[1] if victim == "a process" else job.pid, signal.SIGKILL)
        limit = 30 if victim == "the launcher" else 60
        wait_for(lambda: not any(alive(p) for p in [*workers, job.pid]), limit)
        assert job.wait() != 0
    finally:
        for one in [*workers, job.pid]:
            if alive(one):
                os.kill(one, signal.SIGKILL)
    left = contents(tmp_path / "run")
    time.sleep(2)
    assert contents(tmp_path / "run") == left
    reason = {
        "a process": "Signal 9 (SIGKILL)",
        "the launcher": "",
        "the data of one": "the shard is shorter than when it was indexed",
    }
    assert reason[victim] in (tmp_path / "said").read_text()[-1500:]
    newest = max(steps_of(tmp_path / "run" / "checkpoints"))
    assert goes_on_after(tmp_path) == newest


def steps_of(checkpoints: Path) -> list[int]:
    return [int(path.name[5:]) for path in checkpoints.glob("step-*")]


def goes_on_after(tmp_path: Path) -> int:
    """The step after which the run continues, in one process that is told to stop at once."""
    command = [sys.executable, "-m", "anymae", "resume", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if " after step " in line:
                process.terminate()
                return int(line.split()[-1].replace(",", ""))
    raise AssertionError("the run did not go on")


@pytest.mark.slow
@pytest.mark.parametrize("error", ["ours", "another"])
def test_what_one_process_raises_ends_all_and_is_said_last(tmp_path, error):
    """A sample that only the second of two processes reads is bad; or its code is."""
    images = [np.full((8, 8), i, np.uint8) for i in range(16)]
    script = tmp_path / "script.py"
    script.write_text(RAISES)
    (tmp_path / "images.json").write_text(json.dumps([one.tolist() for one in images]))
    done = subprocess.run(
        torchrun(2, script, tmp_path, error),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    reason = "images[5]: not finite" if error == "ours" else "a fault of the code"
    assert reason in done.stderr
    if error == "ours":
        assert done.stderr.count(reason) >= 2
        assert reason in done.stderr[-1200:]  # torchrun's own last words


RAISES = """
import json, os, sys
import numpy as np, torch
torch.set_num_threads(1)
import anymae
from anymae.cli import main, train
from anymae.data.batches import Batches
from anymae.errors import BadInput
from anymae.training.trainer import Trainer

original = Batches.__getitem__
def read(self, step):
    if self.rank == 1 and self.world == 2 and step == 3:
        if sys.argv[2] == "another":
            raise ZeroDivisionError("a fault of the code")
        from anymae.data.batches import Batch
        return Batch(None, error=BadInput("not finite", where="images[5]"))
    return original(self, step)
Batches.__getitem__ = read
images = np.array(json.load(open(sys.argv[1] + "/images.json")), np.uint8)
np.save(sys.argv[1] + f"/images-{os.environ['RANK']}.npy", images)
sys.exit(main(["pretrain", sys.argv[1] + f"/images-{os.environ['RANK']}.npy", "-m", "image",
    "--size", "nano", "--steps", "20", "--batch-size", "4", "--out", sys.argv[1] + "/run",
    "--set", "training.workers=0"]))
"""


# Sharded


SHARDED = [
    {"modality": "image", "training.clip": 0.5, "training.ema": 0.9, "steps": 20},
    {"modality": "joint", "training.micro_tokens": 40},
    {"modality": "graph", "batch_size": 1},
    {"modality": "image", "recipe": "data2vec2"},
]


@pytest.mark.slow
def test_sharded_is_not_sharded(tmp_path):
    """With clipping, averages, a teacher, as many micro-batches as each process likes, and a
    process without a sample; saved on two and gone on with as one likes."""
    named = [case | {"out": str(i), "strategy": "fsdp"} for i, case in enumerate(SHARDED)]
    cut = {"modality": "image", "stop": 4, "strategy": "fsdp"}
    said = on_ranks(2, tmp_path, [
        *named, cut | {"out": "one"}, cut | {"out": "two"}, cut | {"out": "two", "stop": 0},
        cut | {"out": "ddp"}, {"modality": "image", "out": "ddp"},
        cut | {"out": "fsdp", "strategy": "ddp"}, cut | {"out": "fsdp", "stop": 0},
        cut | {"out": "whole", "stop": 0},
    ])  # fmt: skip
    assert said.count("stopped after step 4 of 8") == 8
    for number, case in enumerate(SHARDED):
        is_as_one(tmp_path / str(number), small_run(out=tmp_path / f"one-{number}", **case))
    whole = small_run("image", tmp_path / "one").model
    assert weights_apart(whole, anymae.load(tmp_path / "whole")) <= 1e-5
    for name in ("ddp", "fsdp"):
        assert weights_apart(whole, anymae.load(tmp_path / name)) <= 1e-5
    assert weights_apart(anymae.load(tmp_path / "whole"), anymae.load(tmp_path / "two")) == 0


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"strategy": "fsdp"}, anymae.BadConfig, "needs several processes"),
        ({"strategy": "zero"}, anymae.BadConfig, "unknown strategy 'zero'"),
    ],
)
def test_strategies_that_cannot_be_are_refused(tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        small_run("image", tmp_path / "run", **changes)
