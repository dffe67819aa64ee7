"""Every example runs, shortened."""

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {"new_method"}


def test_new_method(tmp_path):
    found = load("new_method").main(steps=5, out=tmp_path)
    assert set(found) == {"mae", "half-of-the-blocks"}
    assert all(0 < value < 1 for value in found.values())
