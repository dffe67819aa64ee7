"""Nothing that a user could have downloaded runs, and nothing is written beside the run folder
(X1, X2, X3, X4, X6)."""

import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import anymae
from anymae.cli import main
from anymae.errors import AnyMAEError
from anymae.report import write_report

from . import formats
from .corpus import write_good
from .forked import forked

WATCHED = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
TINY = anymae.EncoderConfig(width=16, depth=1, heads=2)
PLANTED = ("optimizer.pt", ".metadata", "pytorch_model.bin", "config.pkl", "state.pkl", "data.pth")
CODE = ("evil.py", "conftest.py", "sitecustomize.py", "adapter.py", "modeling.py", "__init__.py")


class Payload:
    """Creates a folder when unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = str(made)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.made,)


def pickled(made: Path) -> bytes:
    return pickle.dumps(Payload(made))


def code(made: Path) -> str:
    return f"import os\nos.mkdir({str(made)!r})\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two checkpoints, on images in a file."""
    folder = tmp_path_factory.mktemp("good")
    np.save(folder / "data.npy", np.random.default_rng(0).normal(size=(12, 8, 8)))
    settings = {"training.workers": 0, "training.checkpoint_every": 2}
    anymae.pretrain(folder / "data.npy", "image", size=TINY, steps=4, batch_size=4,
                    precision="fp32", out=folder / "run", **settings)  # fmt: skip
    write_report([folder / "run"])
    return folder / "run"


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def use(folder: Path, data: Path) -> dict[str, str]:
    """Every way in which a run folder is read, and what came of it."""
    unfinished = shutil.copytree(folder, folder.with_name("unfinished"))
    shutil.rmtree(unfinished / "model", ignore_errors=True)
    features = str(folder.with_name("features.npz"))
    ways: dict[str, Callable[[], Any]] = {
        "load": lambda: anymae.load(folder).embed(np.load(data)),
        "report": lambda: write_report([folder]),
        "resume": lambda: main(["resume", str(unfinished), str(data)]),
        "embed": lambda: main(["embed", str(folder), str(data), "-o", features]),
    }
    return {name: _outcome(way) for name, way in ways.items()}


def _outcome(way: Callable[[], Any]) -> str:
    try:
        found = way()
    except AnyMAEError as error:
        return type(error).__name__
    return f"status {found}" if isinstance(found, int) else "used"


def watched(act: Callable[[], Any], *beside: Path) -> Any:
    """What ``act`` returns, in a process in which nothing may be unpickled, no command started, and
    no code of the folders ``beside`` executed."""

    def inside() -> tuple[Any, list[str]]:
        seen: list[str] = []
        places = tuple(str(place) for place in beside)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            planted = event == "exec" and str(arguments[0].co_filename).startswith(places)
            if event in WATCHED or planted:
                seen.append(f"{event} {arguments}")

        sys.addaudithook(hook)
        return act(), seen

    value, seen = forked(inside).value
    assert seen == []
    return value


def test_the_watch_sees_a_pickle(tmp_path):
    with pytest.raises(AssertionError, match="find_class"):
        watched(lambda: pickle.loads(pickled(tmp_path / "made")) and None, tmp_path)
    assert (tmp_path / "made").exists()


def test_a_good_run_is_used_without_pickle(copy, run, tmp_path):
    ways = watched(lambda: use(copy, run.parent / "data.npy"), tmp_path)
    assert ways == {"load": "used", "report": "used", "resume": "status 0", "embed": "status 0"}


@pytest.mark.parametrize("kind", ["every file", "*.safetensors", "*.json", "*.csv"])
def test_pickles_in_place_of_files_are_refused(copy, run, tmp_path, kind):
    for path in copy.rglob("*" if kind == "every file" else kind):
        if path.is_file():
            path.write_bytes(pickled(tmp_path / "made"))
    ways = watched(lambda: use(copy, run.parent / "data.npy"), tmp_path)
    assert not (tmp_path / "made").exists()
    assert set(ways.values()) <= {"CheckpointError", "BadConfig", "status 2", "used", "status 0"}
    if kind != "*.csv":
        assert ways["load"] == "CheckpointError"
        assert ways["embed"] == ways["resume"] == "status 2"
    else:
        assert ways["report"] == "CheckpointError"


def test_pickles_and_code_beside_the_files_are_not_read(copy, run, tmp_path, monkeypatch):
    monkeypatch.chdir(copy)
    for folder in (copy, copy / "model", *(copy / "checkpoints").iterdir()):
        for name in PLANTED:
            (folder / name).write_bytes(pickled(tmp_path / "made"))
        for name in CODE:
            (folder / name).write_text(code(tmp_path / "made"))
    ways = watched(lambda: use(copy, run.parent / "data.npy"), tmp_path)
    assert ways == {"load": "used", "report": "used", "resume": "status 0", "embed": "status 0"}
    assert not (tmp_path / "made").exists()


# Configurations that name code


@pytest.mark.parametrize(
    "place",
    [(), ("adapter",), ("recipe",), ("recipe", "decoder"), ("recipe", "mask"), ("encoder",)],
)
@pytest.mark.parametrize(
    "key", ["auto_map", "_target_", "class_path", "__class__", "py/object", "import"]
)
def test_a_model_folder_cannot_name_code(copy, tmp_path, place, key):
    path = copy / "model" / "config.json"
    config = json.loads(path.read_text())
    inner = config
    for step in place:
        inner = inner[step]
    inner[key] = "evil.Evil"
    path.write_text(json.dumps(config))
    (copy / "model" / "evil.py").write_text(code(tmp_path / "made"))
    with pytest.raises(anymae.CheckpointError, match=key):
        anymae.load(copy)
    assert "evil" not in sys.modules


@pytest.mark.parametrize("name", ["evil", "evil.Evil", "os", "../evil", "", "anymae.cli"])
def test_names_of_modalities_are_looked_up_not_imported(copy, tmp_path, monkeypatch, name):
    monkeypatch.chdir(copy / "model")
    monkeypatch.syspath_prepend(copy / "model")
    path = copy / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"modality": name}))
    (copy / "model" / "evil.py").write_text(code(tmp_path / "made"))
    with pytest.raises(anymae.CheckpointError, match="unknown modality"):
        anymae.load(copy)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("slot", ["decoder", "target", "loss", "corruption"])
def test_parts_are_looked_up_not_imported(copy, slot):
    path = copy / "model" / "config.json"
    config = json.loads(path.read_text())
    config["recipe"][slot] = {"kind": "os.system"}
    path.write_text(json.dumps(config))
    with pytest.raises(anymae.CheckpointError, match=slot):
        anymae.load(copy)


# Foreign checkpoints


@pytest.mark.parametrize("name", ["x.pth", "x.pt", "x.bin", "x.ckpt"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_importing_a_payload_runs_nothing(tmp_path, name, wrapped):
    inside = Payload(tmp_path / "made")
    torch.save({"model": {"w": torch.ones(2)}, "args": inside} if wrapped else inside,
               tmp_path / name)  # fmt: skip
    command = ["import", str(tmp_path / name), "-o", str(tmp_path / "model")]
    status = forked(lambda: main(command)).value  # torch's own reader finds names, and refuses them
    assert status == 2
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "model").exists()


# Data


def pretrain(data: object, folder: Path) -> str:
    fixed = {"size": TINY, "steps": 1, "batch_size": 4, "precision": "fp32"}
    return _outcome(lambda: anymae.pretrain(data, "image", out=folder / "run", **fixed))


@pytest.mark.parametrize("ending", ["pkl", "pickle", "pt", "pth", "pyd", "npy", "json", "yaml"])
def test_pickles_among_data_are_not_read(tmp_path, ending):
    folder = write_good(tmp_path / "data", "image")
    (folder / f"evil.{ending}").write_bytes(pickled(tmp_path / "made"))
    outcome = watched(lambda: pretrain(folder, tmp_path), tmp_path)
    assert outcome == ("BadInput" if ending == "npy" else "used")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("ending", ["pkl", "pickle", "pth", "pyd", "pt", "npy"])
def test_pickles_in_shards_are_not_read(tmp_path, ending):
    import io
    import tarfile

    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for number in range(4):
            for name, data in ((f"{number}.png", formats.png(number)),
                               (f"{number}.x.{ending}", pickled(tmp_path / "made"))):  # fmt: skip
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    outcome = watched(lambda: pretrain(tmp_path / "shard.tar", tmp_path), tmp_path)
    assert outcome == ("BadInput" if ending == "npy" else "used")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("text", ["pipe:mkdir {}", "mkdir {} |", "$(mkdir {})", "`mkdir {}`",
                                  "file:///{}", "; mkdir {}", "{{mkdir,{}}}"])  # fmt: skip
def test_data_are_no_command(tmp_path, text):
    data = text.format(tmp_path / "made")
    assert watched(lambda: pretrain(data, tmp_path), tmp_path) == "BadInput"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [{}]", "!!python/name:os.mkdir",
                                 "!evil x", "!!python/module:os"])  # fmt: skip
def test_tags_of_a_configuration_make_nothing(tmp_path, tag):
    (tmp_path / "settings.yaml").write_text(f"seed: {tag.format(tmp_path / 'made')}\n")
    command = ["pretrain", str(tmp_path), "--config", str(tmp_path / "settings.yaml")]
    assert watched(lambda: main(command), tmp_path) == 2
    assert not (tmp_path / "made").exists()


# Places outside


@pytest.mark.parametrize("place", ["beside the run", "absolute", "in a folder of its own"])
def test_a_manifest_names_files_of_its_own_folder_only(copy, run, place):
    """Even where size and hash are right."""
    outside = copy.parent / "outside"
    outside.write_bytes(b"secret")
    shutil.rmtree(copy / "model")
    for manifest in copy.glob("checkpoints/*/manifest.json"):
        (manifest.parent / "a").mkdir()
        shutil.copy(outside, manifest.parent / "a" / "b")
        names = {"beside the run": "../../../outside", "absolute": str(outside)}
        content = json.loads(manifest.read_text())
        content["files"][names.get(place, "a/b")] = {
            "size": 6,
            "sha256": hashlib.sha256(b"secret").hexdigest(),
        }
        manifest.write_text(json.dumps(content))
    assert main(["resume", str(copy), str(run.parent / "data.npy")]) == 2
    assert not (copy / "model").exists()


def test_a_run_writes_into_its_folder_only(run, tmp_path, monkeypatch):
    """The folder is a link; working and home folders are others, and stay empty."""
    for name in ("work", "home", "real"):
        (tmp_path / name).mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert pretrain(run.parent / "data.npy", tmp_path) == "used"
    assert not list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "home").iterdir())
    assert (tmp_path / "real" / "model" / "config.json").exists()
