"""Malformed files: one typed error that names the file, from workers as from the main process
(I1); skipped ones are counted and listed (I2)."""

import csv
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest

import anymae
from anymae.cli import main
from anymae.data.batches import Batches
from anymae.data.loader import load
from anymae.data.plan import Plan
from anymae.data.sources import open_source
from anymae.encoder import EncoderConfig

from .corpus import BAD, write_good
from .forked import MB, Outcome, forked

NANO = EncoderConfig(width=16, depth=1, heads=2)
REFUSED = {
    f"{modality}/{case.name}": (modality, case)
    for modality, cases in BAD.items()
    for case in cases
    if case.said
}
EXAMPLE = {modality: next(case for case in cases if case.said) for modality, cases in BAD.items()}
modalities = pytest.mark.parametrize("modality", BAD)


class Read(NamedTuple):
    """What reading a file came to: the type of the error and its text, empty without one."""

    kind: str = ""
    text: str = ""


@cache
def reading(modality: str, workers: int) -> Outcome:
    """``read_all`` of the corpus, in a process of its own."""
    if modality == "pointcloud":
        pytest.importorskip("open3d")  # here, or every worker would load it anew
    with TemporaryDirectory() as folder:
        return forked(lambda: read_all(Path(folder), modality, workers))


def read_all(folder: Path, modality: str, workers: int) -> dict[str, Read]:
    """Every file of the corpus of a modality, read as training reads it, by an adapter that knows
    ten good ones."""
    adapter = anymae.modalities()[modality]()
    adapter = adapter.fit(open_source(write_good(folder, modality), adapter))
    for case in BAD[modality]:
        (folder / case.name).write_bytes(case.content())
    names = [case.name for case in BAD[modality]]
    source = open_source([folder / name for name in names], adapter)
    batches = Batches(source, adapter, Plan(len(names), 1, len(names), 0))
    found = {}
    for step, batch in enumerate(load(batches, 0, workers, pin=False)):
        [(_, index)] = batches.plan.draw(step)
        error = batch.error
        text = "" if error is None else str(error).replace(str(folder), "")
        found[names[index]] = Read(type(error).__name__ if error else "", text)
    return found


@pytest.mark.parametrize("which", REFUSED)
def test_a_bad_file_is_refused_by_name_in_one_line(which):
    modality, case = REFUSED[which]
    kind, text = reading(modality, workers=0).value[case.name]
    assert kind == "BadInput"
    assert text.startswith(f"/{case.name}"), text
    assert text.count(case.name) == 1, text
    assert all(words in text for words in case.said), text
    assert "\n" not in text
    assert len(text) < 500


@modalities
def test_errors_are_the_same_out_of_workers(modality):
    assert reading(modality, workers=2).value == reading(modality, workers=0).value


@modalities
def test_the_whole_corpus_takes_little_memory(modality):
    assert reading(modality, workers=0).extra < 1500 * MB


@modalities
def test_odd_but_sound_files_train(modality, tmp_path):
    folder = write_good(tmp_path / "data", modality)
    sound = [case for case in BAD[modality] if not case.said]
    assert sound
    for case in sound:
        (folder / case.name).write_bytes(case.content())
    options = {"patch_size": 4} if modality == "image" else {}
    run = pretrain(tmp_path / "run", folder, modality, modality_options=options)
    assert np.isfinite(run.history[-1]["loss"])


def pretrain(out: Path, data: Path, modality: str, **settings: object) -> anymae.Run:
    fixed = {"size": NANO, "steps": 2, "batch_size": 4, "precision": "fp32",
             "training.workers": 0, "training.log_every": 1}  # fmt: skip
    return anymae.pretrain(data, modality, out=out, **(fixed | settings))


@modalities
def test_one_bad_file_among_ten_good_ones_ends_the_command(modality, tmp_path, capsys):
    folder = write_good(tmp_path / "data", modality)
    case = EXAMPLE[modality]
    (folder / case.name).write_bytes(case.content())
    out = tmp_path / "run"
    command = ["pretrain", folder, "-m", modality, "--size", "nano", "--steps", 2, "--out", out]
    assert main([str(word) for word in command]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("anymae: ")]) == 1
    assert case.name in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert not out.exists(), "a part of a run was left"


# Skipping


@pytest.mark.parametrize("workers", [0, 2])
@modalities
def test_a_skipped_file_is_listed_with_its_reason(modality, workers, tmp_path):
    folder = write_good(tmp_path / "data", modality)
    case = EXAMPLE[modality]
    (folder / case.name).write_bytes(case.content())
    settings = {"training.on_bad_sample": "skip", "training.workers": workers}
    run = pretrain(tmp_path / "run", folder, modality, steps=6, **settings)
    with open(run.path / "bad_samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 1 <= len(rows) <= 3  # the file is drawn once an epoch, of which these are 2.2
    assert all(row["where"].startswith(str(folder / case.name)) for row in rows)
    assert all(all(words in row["reason"] for words in case.said) for row in rows)
    assert run.history[-1]["bad_samples"] == len(rows)


@modalities
def test_nothing_but_bad_files_is_no_data_set(modality, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    ending = Path(EXAMPLE[modality].name).suffix
    for number in range(4):
        (folder / f"{number}{ending}").write_bytes(EXAMPLE[modality].content())
    with pytest.raises(anymae.AnyMAEError) as stopped:
        pretrain(tmp_path / "run", folder, modality, **{"training.on_bad_sample": "skip"})
    assert stopped.value.status == 2
    assert re.search(
        r"no .* to learn from|too many bad samples|nothing to learn", str(stopped.value)
    )
