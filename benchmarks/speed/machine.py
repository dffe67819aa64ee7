"""What a measurement was taken on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from anymae import __version__


def machine() -> dict[str, object]:
    """Processor, cores, and the versions that matter; JSON."""
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    units = ("avx512_bf16", "amx_bf16")
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names),
        "instructions": [u for u in units if torch.cpu.get_capabilities().get(u)],
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "anymae": __version__,
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
