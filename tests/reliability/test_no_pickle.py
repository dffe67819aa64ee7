"""Nothing a user could have downloaded is ever unpickled (X1 of the guarantees)."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import anymae
from anymae.encoder import EncoderConfig

WATCHED = """
import sys
import anymae, anymae.storage, anymae.report, anymae.inference  # imports may read caches
from anymae.modalities.image.adapter import ImageAdapter
events = []
sys.addaudithook(lambda event, args: events.append(event) if event in
    ("pickle.find_class", "os.system", "subprocess.Popen") else None)
import numpy as np
try:
    model = anymae.load(sys.argv[1])
    model.embed(np.zeros((2, 8, 8), np.uint8) + np.arange(8, dtype=np.uint8))
    print("loaded")
except anymae.CheckpointError as error:
    print("refused")
print(events)
"""


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    images = [np.arange(64, dtype=np.uint8).reshape(8, 8) + i for i in range(4)]
    adapter = anymae.modalities()["image"]().fit(images)
    config = EncoderConfig(width=24, depth=1, heads=2)
    anymae.Model(adapter, anymae.recipes()["mae"], config).save(folder)
    return folder


def watched(folder: Path) -> list[str]:
    command = [sys.executable, "-c", WATCHED, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def test_the_payload_works_when_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "made")))
    assert (tmp_path / "made").exists()


def test_a_good_model_loads_without_pickle(good):
    assert watched(good)[:2] == ["loaded", "[]"]


@pytest.mark.parametrize("names", [("model.safetensors",), ("config.json", "model.safetensors")])
def test_pickles_in_place_of_a_models_files_are_refused(good, tmp_path, names):
    folder = shutil.copytree(good, tmp_path / "model")
    for name in names:
        (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "made")))
    assert watched(folder)[:2] == ["refused", "[]"]
    assert not (tmp_path / "made").exists()


def test_pickles_beside_a_models_files_are_not_read(good, tmp_path):
    folder = shutil.copytree(good, tmp_path / "model")
    for name in ("optimizer.pt", ".metadata", "pytorch_model.bin", "config.pkl", "conftest.py"):
        (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "made")))
    assert watched(folder)[:2] == ["loaded", "[]"]
    assert not (tmp_path / "made").exists()
