"""docs/reliability.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_that_is_named_exists():
    page = (TESTS.parent / "docs" / "reliability.md").read_text()
    named = re.findall(r"`(?:\w+\.py::)?(test_\w+)(…?)`", page)
    assert len(named) > 20
    source = "".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    functions = set(re.findall(r"def (test_\w+)", source))
    files = {path.stem for path in TESTS.rglob("test_*.py")}
    for name, cut in named:
        assert any(one.startswith(name) if cut else one == name for one in functions | files), name
