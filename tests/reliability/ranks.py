"""Runs for test_ranks, one process of several: a program for torchrun.

    torchrun --nproc-per-node N ranks.py FOLDER CASE ...

A case is a name of runs.py's modalities and changes in JSON: ``image:{"batch_size": 1}``.
"""

import importlib
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
torch.set_num_threads(1)
runs = importlib.import_module("tests.reliability.runs")

for number, case in enumerate(sys.argv[2:]):
    modality, _, changes = case.partition(":")
    runs.small_run(modality, Path(sys.argv[1]) / str(number), **json.loads(changes or "{}"))
