"""The README tells the truth: its blocks run, its tree is the disk's, its results are there."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert "random init" in capsys.readouterr().out


def test_the_tree_is_the_disks():
    tree = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL)
    assert tree is not None
    rows = [line.split()[0] for line in tree.group(1).splitlines() if not line.startswith("  ")]
    inner = [line.split()[0] for line in tree.group(1).splitlines() if line.startswith("  ")]
    assert rows
    assert inner
    for name in rows:
        assert (ROOT / name).exists(), name
    for name in inner:
        assert (ROOT / "anymae" / name).exists(), name


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("benchmarks/results/*.json")), ids=lambda p: p.name
)
def test_results_say_how_they_were_made(path):
    result = json.loads(path.read_text())
    assert result["command"].startswith(("python -m anymae.benchmarks.", "anymae bench --suite "))
    assert {"processor", "cores", "torch", "anymae"} <= result["machine"].keys()
    told = README + (ROOT / "docs" / "benchmarks.md").read_text()
    assert path.name in told, "a result nobody is told about"
