"""Which of two implementations runs, Triton's or torch's, and why.

Triton kernels run on CUDA devices. With ``TRITON_INTERPRET=1`` in the environment Triton executes
them step by step with numpy on any device, thousands of times slower: that is how tests prove them
where there is no GPU.
"""

from __future__ import annotations

from importlib.util import find_spec
from os import environ
from typing import NamedTuple

import torch

INSTALLED = find_spec("triton") is not None
INTERPRETED = environ.get("TRITON_INTERPRET") == "1"


class Choice(NamedTuple):
    """How an operation will be computed: ``body`` names the file, ``why`` is one sentence."""

    body: str
    why: str


def triton_or(other: str, device: torch.device) -> Choice:
    """``triton`` where its kernels can run on ``device``, else ``other``."""
    if not INSTALLED:
        return Choice(other, "Triton is not installed")
    if INTERPRETED:
        return Choice("triton", "TRITON_INTERPRET=1: through the interpreter, slow, for proofs")
    if device.type == "cuda":
        return Choice("triton", "a CUDA device, and Triton is installed")
    return Choice(other, f"Triton's kernels need a CUDA device, not {device.type}")
