"""Whatever the data, their files and labels are called, a report shows it as text (X7)."""

import csv
from pathlib import Path

import numpy as np
import pytest

import anymae
from anymae.cli import main

from ..report.folders import assert_inert
from . import formats

TINY = anymae.EncoderConfig(width=16, depth=1, heads=2)
HOSTILE = "<img src=x onerror=alert(1)>'\"{{7*7}}&#x3c;iframe srcdoc=x>"
STEERING = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)")


def pretrain(data: object, modality: str, out: Path, **settings: object) -> anymae.Run:
    fixed = {"size": TINY, "steps": 2, "batch_size": 4, "precision": "fp32"}
    return anymae.pretrain(data, modality, out=out, **(fixed | settings))


def test_a_run_on_hostile_files_and_folders_is_inert(tmp_path):
    for name in (HOSTILE, "=1+1"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            path = tmp_path / "data" / name / f"{number} {HOSTILE}.png"
            path.write_bytes(formats.png(number))
    run = pretrain(tmp_path / "data", "image", tmp_path / HOSTILE, validation=0.2,
                   modality_options={"patch_size": 4})  # fmt: skip
    page = run.report().read_text()
    assert_inert(page)
    assert "<img src=x" not in page


def test_a_run_on_hostile_columns_is_inert(tmp_path):
    draw = np.random.default_rng(0)
    names = [HOSTILE, "<script>alert(1)</script>", "=1+1"]
    table = {name: draw.normal(size=20) for name in names} | {"word": [HOSTILE, "b"] * 10}
    page = pretrain(table, "tabular", tmp_path / "run").report().read_text()
    assert_inert(page)
    assert "<script>alert" not in page


@pytest.mark.parametrize("begin", FORMULAS)
def test_no_cell_begins_a_formula(tmp_path, monkeypatch, begin):
    monkeypatch.chdir(tmp_path)
    data = Path(f"{begin} data")
    data.mkdir()
    for number in range(10):
        (data / f"{number}.png").write_bytes(formats.png(number))
    (data / "x.png").write_bytes(formats.TEXT)
    settings = {"training.on_bad_sample": "skip", "training.workers": 0}
    run = pretrain(str(data), "image", tmp_path / "run", steps=4,
                   modality_options={"patch_size": 4}, **settings)  # fmt: skip
    for path in run.path.rglob("*.csv"):
        with path.open(newline="") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                assert not cell.startswith(("=", "+", "-", "@")) or is_number(cell), (path, cell)
    assert (run.path / "bad_samples.csv").exists()


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("what", ["a file", "a folder", "a column"])
def test_a_name_steers_no_terminal(tmp_path, capsys, what):
    folder = tmp_path / ("data" + STEERING * (what == "a folder"))
    folder.mkdir()
    if what == "a column":
        path = folder / "x.csv"
        path.write_text(f"a,{STEERING}\n1,2\n1,inf\n")
        command = ["pretrain", str(path), "-m", "timeseries"]
    else:
        (folder / f"x{STEERING * (what == 'a file')}.png").write_bytes(formats.TEXT)
        command = ["pretrain", str(folder), "-m", "image"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert not set("\x1b\x07\u202e") & set(said)
