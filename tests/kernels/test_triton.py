"""Triton's kernels without a GPU: results through the interpreter, code by compiling it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anymae.kernels import choice
from anymae.kernels.choice import triton_or

pytest.importorskip("triton")
HERE = Path(__file__).parent
CAPABILITIES = ("80", "90")
"""Ampere and Hopper."""


def run(*command: str, **environment: str) -> str:
    given = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *command],
        env=given | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["edge_attention", "neighbours"])
def test_interpreted_kernels_equal_the_definition(name):
    tests = str(HERE / f"test_{name}.py")
    said = run("-m", "pytest", "-q", "-k", "triton-interpreted", tests, TRITON_INTERPRET="1")
    assert "skipped" not in said


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, list[str]]:
    cache = tmp_path_factory.mktemp("cache")
    said = run(str(HERE / "compile_all.py"), *CAPABILITIES, TRITON_CACHE_DIR=str(cache))
    return json.loads(said)


def test_kernels_compile_for_gpus_that_are_not_there(compiled):
    sources = (path.read_text() for path in Path(choice.__file__).parent.rglob("triton.py"))
    kernels = {name for s in sources for name in re.findall(r"@triton.jit\ndef (\w+)", s)}
    assert kernels - compiled.keys() == {"_score"}, "which two others call"
    assert all(
        f".target sm_{c}" in ptx
        for c, ptx in zip(CAPABILITIES, compiled["_forward"][:2], strict=True)
    )


def test_no_kernel_adds_in_an_order_of_its_own(compiled):
    for texts in compiled.values():
        assert not any(re.search(r"\b(atom|red)\.", ptx) for ptx in texts)


def test_distances_are_rounded_as_torch_rounds_them(compiled):
    assert any("fma." in ptx for ptx in compiled["_forward"])
    for name in ("_farthest", "_nearest"):
        assert not any("fma." in ptx for ptx in compiled[name])


# Which implementation runs

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "installed", "interpreted", "body"),
    [
        (CPU, True, False, "other"),
        (CPU, True, True, "triton"),
        (CPU, False, True, "other"),
        (CUDA, True, False, "triton"),
        (CUDA, True, True, "triton"),
        (CUDA, False, False, "other"),
    ],
)
def test_the_choice_is_the_documented_one(monkeypatch, device, installed, interpreted, body):
    monkeypatch.setattr(choice, "INSTALLED", installed)
    monkeypatch.setattr(choice, "INTERPRETED", interpreted)
    chosen = triton_or("other", device)
    assert chosen.body == body
    assert ("interpreter" in chosen.why) == (interpreted and installed)
