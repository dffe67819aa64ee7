"""Everything a first-time user gets wrong: one clear line and exit status 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anymae.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            folder / f"{i:02d}.png"
        )
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which the command line refuses these arguments."""
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert status == 2, captured.err
    lines = [line for line in captured.err.splitlines() if line.startswith("anymae: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def pretrain(*more: object) -> list[object]:
    return ["pretrain", *more, "--modality", "image", "--steps", 2, "--size", "nano"]


def test_wrong_path(capsys, tmp_path):
    line = refused(capsys, *pretrain(tmp_path / "nowhere"))
    assert "nowhere" in line


def test_empty_folder(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    line = refused(capsys, *pretrain(tmp_path / "empty"))
    assert "empty" in line
    assert ".png" in line


def test_corrupt_file(capsys, photos):
    (photos / "03.png").write_bytes((photos / "03.png").read_bytes()[:60])
    assert "03.png" in refused(capsys, *pretrain(photos, "--out", photos.parent / "run"))


def test_wrong_shape(capsys, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((10, 7)))
    line = refused(capsys, *pretrain(tmp_path / "flat.npy", "--out", tmp_path / "run"))
    assert "(7,)" in line
    assert "(H, W)" in line


def test_nan_pixels(capsys, tmp_path):
    images = np.random.default_rng(0).normal(size=(10, 8, 8)).astype(np.float32)
    images[4, 2, 5] = np.nan
    np.save(tmp_path / "images.npy", images)
    line = refused(capsys, *pretrain(tmp_path / "images.npy", "--out", tmp_path / "run"))
    assert "row 2, column 5" in line
    assert "4" in line


def test_constant_images(capsys, tmp_path):
    np.save(tmp_path / "images.npy", np.full((10, 8, 8), 7, np.uint8))
    line = refused(capsys, *pretrain(tmp_path / "images.npy", "--out", tmp_path / "run"))
    assert "constant" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "maee"], "Did you mean 'mae'"),
        (["--size", "tny"], "Did you mean 'tiny'"),
        (["--option", "patchsize=4"], "patch_size"),
        (["--option", "patch_size=-4"], "patch_size"),
        (["--set", "decoder.dpeth=4"], "depth"),
        (["--set", "decoder.depth=many"], "decoder.depth"),
        (["--set", "decodr.depth=4"], "decoder"),
        (["--set", "decoder"], "key=value"),
        (["--mask-ratio", "1.5"], "between 0 and 1"),
        (["--device", "gpu0"], "gpu0"),
        (["--precision", "fp8"], "fp8"),
        (["--epochs", "3"], "steps and epochs"),
        (["--validation", "1.5"], "fraction"),
        (["--set", "encoder.heads=5"], "heads"),
        (["--set", "decoder=linear"], "mask-token"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--stpes", "3"], "--stpes"),
    ],
)
def test_wrong_options(capsys, photos, arguments, said):
    assert said in refused(capsys, *pretrain(photos), *arguments, "--out", photos.parent / "run")


def test_unknown_modality(capsys, photos):
    line = refused(capsys, "pretrain", photos, "--modality", "imagery")
    assert "Did you mean 'image'" in line


def test_a_misspelt_command(capsys):
    assert "pretrain" in refused(capsys, "pretrian")


@pytest.mark.parametrize("text", ["- 1", "steps: !!python/object:os.system x", "a: [1", "stpes: 3"])
def test_bad_configuration_files(capsys, photos, text):
    path = photos.parent / "settings.yaml"
    path.write_text(text)
    line = refused(capsys, *pretrain(photos), "--config", path)
    assert "settings.yaml" in line or "stpes" in line


def test_an_unwritable_run_folder(capsys, photos):
    (photos.parent / "file").write_text("")
    line = refused(capsys, *pretrain(photos, "--out", photos.parent / "file" / "run"))
    assert "file" in line


def test_evaluating_what_is_not_a_run(capsys, photos, tmp_path):
    line = refused(capsys, "evaluate", tmp_path, "--train", photos)
    assert "no model here" in line


def test_the_whole_story_from_the_command_line(capsys, photos, tmp_path):
    run = tmp_path / "run"
    assert main([str(a) for a in pretrain(photos, "--out", run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size > 10_000
    assert main(["embed", str(run), str(photos), "-o", str(tmp_path / "f.npz")]) == 0
    with np.load(tmp_path / "f.npz") as saved:
        assert saved["features"].shape == (12, 96)
        assert "00.png" in str(saved["where"][0])
    picture = tmp_path / "picture.png"
    assert main(["reconstruct", str(run), str(photos), "-o", str(picture), "--samples", "2"]) == 0
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 100
    assert main(["diagnose", str(run), str(photos)]) == 0
    assert main(["report", str(run), "-o", str(tmp_path / "r.html")]) == 0
    for leftover in ("resume", str(run)), ("recipes",), ("recipes", "simmim"), ("modalities",):
        assert main(list(leftover)) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["data_path"] == str(photos)


def test_interrupted_training_exits_with_130(photos, tmp_path):
    command = [sys.executable, "-m", "anymae", "pretrain", str(photos), "-m", "image", "--size",
               "nano", "--steps", "100000", "--out", str(tmp_path / "run"), "--set",
               "training.workers=1", "--set", "training.log_every=1"]  # fmt: skip
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    history = tmp_path / "run" / "history.csv"
    while not history.exists() and running.poll() is None:
        pass
    os.killpg(running.pid, 15)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert "anymae resume" in err
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))
