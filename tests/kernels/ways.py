"""The ways to compute an operation, for tests that hold each of them against the definition.

Triton's kernels run on a CUDA device if there is one, and elsewhere through Triton's interpreter,
which a process uses throughout or not at all: ``test_triton.py`` starts one that does.
"""

import os

import pytest
import torch

on_cuda = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
)
interpreted = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="test_triton.py runs it"
)
WAYS = [
    pytest.param("torch_native", "cpu", id="native"),
    pytest.param("torch_native", "cuda", id="native-cuda", marks=on_cuda),
    pytest.param("triton", "cpu", id="triton-interpreted", marks=interpreted),
    pytest.param("triton", "cuda", id="triton-cuda", marks=on_cuda),
]


def every_way(bodies: tuple[str, ...] = ("torch_native", "triton")):
    """Runs a test with each ``body``, the name of a file, on each ``device`` it is made for."""
    ways = [way for way in WAYS if way.values[0] in bodies]
    return pytest.mark.parametrize(("body", "device"), ways)
