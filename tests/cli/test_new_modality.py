"""``anymae new-modality``: a package that works before a line of it is changed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anymae.cli import main
from anymae.cli.new_modality import package

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, where: Path, path: str = "") -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=where,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made(tmp_path: Path, name: str) -> Path:
    assert main(["new-modality", name, "--out", str(tmp_path)]) == 0
    return tmp_path / f"anymae-{name}"


def test_its_tests_and_example_pass_at_once(tmp_path, capsys):
    folder = made(tmp_path, "mass-spectra")
    assert capsys.readouterr().out.splitlines()[0] == str(folder)
    path = os.pathsep.join([str(folder / "src"), str(ROOT)])
    run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:dash",
        where=folder,
        path=path,
    )
    said = run(sys.executable, "examples/pretrain.py", "5", where=folder, path=path)
    assert "random init" in said
    assert "report.html" in said


@pytest.mark.slow
def test_installed_it_is_found_by_its_entry_point(tmp_path):
    """In an environment of its own, which borrows the packages of this one."""
    folder, home = made(tmp_path, "eeg"), tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(home), where=tmp_path)
    python = str(home / "bin" / "python")
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours = run(sys.executable, "-c", place, where=tmp_path).strip()
    theirs = Path(run(python, "-c", place, where=tmp_path).strip())
    (theirs / "borrowed.pth").write_text(f"{ours}\n{ROOT}\n")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-build-isolation", "--disable-pip-version-check", "-e", str(folder),
        where=tmp_path, path=ours)  # fmt: skip
    listed = run(python, "-m", "anymae", "modalities", where=tmp_path)
    assert "eeg " in listed
    assert "Series of vectors, of any length." in listed
    run(python, "-m", "pytest", "-q", where=folder)


@pytest.mark.parametrize("name", ["EEG", "2d", "eeg scans", "-x", "eeg_", "../eeg", ""])
def test_a_bad_name_is_refused(tmp_path, capsys, name):
    assert main(["new-modality", "--out", str(tmp_path), "--", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert repr(name) in error
    assert list(tmp_path.iterdir()) == []


def test_a_name_in_use_is_refused(tmp_path, capsys):
    assert main(["new-modality", "image", "--out", str(tmp_path)]) == 2
    assert "image" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path, capsys):
    kept = tmp_path / "anymae-eeg" / "kept"
    kept.mkdir(parents=True)
    assert main(["new-modality", "eeg", "--out", str(tmp_path)]) == 2
    assert "anymae-eeg: there is something here already" in capsys.readouterr().err
    assert list(kept.parent.iterdir()) == [kept]


def test_every_file_is_filled_in():
    files = package("mass-spectra")
    assert not [path for path, text in files.items() if "$" in text]
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
            assert max(map(len, text.splitlines())) <= 100
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    assert points == {
        "anymae.adapters": {"mass-spectra": "anymae_mass_spectra.adapter:MassSpectraAdapter"}
    }
