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
    monkeypatch.syspath_prepend(EXAMPLES)


def load(name: str):
    """An example as a module that loader processes can find."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {"eeg", "made_up", "new_method", "protein"}


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


def test_closed_eyes_have_more_alpha():
    """What the probe of recordings is meant to find."""
    recording = load("made_up").recording
    spectra = np.abs([np.fft.rfft(recording(i % 2, i)[-2:]) for i in range(60)])
    power = spectra[..., 16:25].mean((1, 2))  # 8 to 12 Hz in two seconds
    assert power[1::2].mean() > 1.2 * power[::2].mean()


def test_proteins_differ_in_order_alone():
    """What the probe of proteins is meant to find, and counts of residues cannot tell."""
    example = load("made_up")
    assert len(example.ANCESTOR) == 40
    kinds = [example.protein(kind, seed=0) for kind in range(4)]
    assert len(set(kinds)) == 4
    starts = [example.ANCESTOR[10 * kind :] + example.ANCESTOR[: 10 * kind] for kind in range(4)]
    for kind, found in enumerate(kinds):
        alike = [sum(a == b for a, b in zip(found[1:41], s, strict=True)) for s in starts]
        assert int(np.argmax(alike)) == kind
        assert max(alike) > 20
