"""The guides tell the truth: their Python runs, and what they list is what there is."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from anymae import registry
from anymae.checks import CHECKS
from anymae.checks.kit import name_of

DOCS = Path(__file__).parent.parent / "docs"


def python_of(guide: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", guide, re.DOTALL))


def test_the_adapter_guide_runs(tmp_path, monkeypatch, capsys):
    """As a module, whose classes can be sent to other processes."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "adapter_guide.py"
    path.write_text(python_of((DOCS / "adapters.md").read_text()))
    spec = importlib.util.spec_from_file_location("adapter_guide", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "adapter_guide", module)
    spec.loader.exec_module(module)
    said = capsys.readouterr().out
    assert "random init" in said
    assert "kept      coordinates_do_not_carry_the_answer" in said
    assert "kept      unobserved_numbers_are_not_shown" in said
    assert '"random_init"' in said
    assert (tmp_path / "reconstruction.png").stat().st_size > 1000


def test_the_adapter_guide_lists_every_promise():
    guide = (DOCS / "adapters.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)
    assert listed == [name_of(check) for check in CHECKS]


@pytest.mark.parametrize("name", ["eeg", "protein"])
def test_the_adapter_guide_names_examples_that_exist(name):
    assert f"{name}.py" in (DOCS / "adapters.md").read_text()
    assert (DOCS.parent / "examples" / f"{name}.py").exists()
