"""Every example runs, shortened."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from anymae import registry

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """The modalities of examples are forgotten again."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def load(name: str):
    """An example as a module that loader processes can find."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {"eeg", "new_method", "protein"}


def test_new_method(tmp_path):
    found = load("new_method").main(steps=5, out=tmp_path)
    assert set(found) == {"mae", "half-of-the-blocks"}
    assert all(0 < value < 1 for value in found.values())


@pytest.mark.parametrize("name", ["eeg", "protein"])
def test_a_new_modality(name, tmp_path, capsys):
    scores = load(name).main(3, 40, tmp_path / "run")
    assert 0 < scores.value < 1
    assert "kept      coordinates_do_not_carry_the_answer" in capsys.readouterr().out
    assert (tmp_path / "run" / "reconstruction.png").stat().st_size > 10_000
    assert (tmp_path / "run" / "report.html").exists()


def test_recordings_and_proteins_differ_in_what_is_to_be_found():
    """Alpha power and the period of greasy residues: what the probes are meant to read."""
    eeg, protein = load("eeg"), load("protein")
    power = np.array(
        [np.abs(np.fft.rfft(eeg.recording(i % 2, i)[-2:]))[:, 16:25].mean() for i in range(60)]
    )
    assert power[1::2].mean() > 1.2 * power[::2].mean()
    alternates = []
    for i in range(60):
        greasy = np.isin(list(protein.protein(i % 2, i)), list("AILVFM"))
        alternates.append((greasy[2:] == greasy[:-2]).mean())
    assert np.mean(alternates[1::2]) > np.mean(alternates[::2]) + 0.1
