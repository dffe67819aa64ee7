"""Runs for test_ranks, one process of several: a program for torchrun.

    torchrun --nproc-per-node N ranks.py FOLDER CASE ...

A case is JSON: ``modality``, the folder ``out`` below FOLDER, and changes of the run; ``stop`` is a
step before which the last process is told to stop, ``poison`` one in which its gradients are NaN,
``lost`` one before which it is killed in torchrun's first attempt.
"""

import importlib
import json
import math
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
runs = importlib.import_module("tests.reliability.runs")

from anymae.errors import Interrupted  # noqa: E402
from anymae.training.trainer import Trainer  # noqa: E402

STEP, BACKWARD = Trainer.step, Trainer.backward


def run(folder: Path, modality: str, out: str, stop=0, poison=0, lost=0, **changes) -> None:
    last = int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1
    first_attempt = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"

    def step(self, *arguments):
        if last and first_attempt and lost and self.progress.step == lost - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if last and stop and self.progress.step == stop - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return STEP(self, *arguments)

    def backward(self, *arguments):
        found = BACKWARD(self, *arguments)
        if last and self.progress.step == poison - 1:
            next(p for p in self.model.parameters() if p.grad is not None).grad.fill_(math.nan)
        return found

    Trainer.step, Trainer.backward = step, backward
    try:
        runs.small_run(modality, folder / out, **changes)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[2:]:
        run(Path(sys.argv[1]), **json.loads(case))
