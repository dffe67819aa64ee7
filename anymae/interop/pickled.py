"""Checkpoints in torch's own format, read without running anything they contain."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from anymae.errors import CheckpointError

WRAPPERS = ("model", "state_dict")
"""Keys under which training scripts put the weights, beside optimiser, epoch and so on."""


def read_pickled(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and what lies beside them, from a ``.pth``, ``.pt`` or ``.bin`` file.

    Only plain tensors, numbers, containers and ``argparse.Namespace`` (the options that training
    scripts store) are accepted. Raises ``CheckpointError`` for everything else.
    """
    refuse_old_torch()
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make the unpickler raise nearly anything
        raise CheckpointError(
            "not a file of plain tensors",
            where=path,
            found=(str(error) or type(error).__name__).strip().partition("\n")[0][:200],
            hint="Nothing in it was run. Files that need more than tensors are not read.",
        ) from None
    if not isinstance(content, Mapping):
        raise CheckpointError("no tensors by name", where=path, found=type(content).__name__)
    beside: dict[str, Any] = {}
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            beside = {str(name): value for name, value in content.items() if name != wrapper}
            content = content[wrapper]
            break
    return {str(name): _whole(path, name, value) for name, value in content.items()}, beside


def refuse_old_torch() -> None:
    """Raise ``CheckpointError`` where torch's restricted unpickler has known holes."""
    if TorchVersion(torch.__version__) < TorchVersion("2.10"):
        raise CheckpointError(
            "this torch is too old to read foreign checkpoints safely",
            found=torch.__version__,
            expected="2.10 or newer",
            hint="Upgrade torch, or convert the file to safetensors elsewhere.",
        )


def _whole(path: Path, name: object, value: Any) -> Tensor:
    """The tensor, if it is one and has all the memory that its shape claims."""
    if not isinstance(value, Tensor):
        raise CheckpointError(
            f"{name!r} is not a tensor",
            where=path,
            found=type(value).__name__,
            expected="tensors by name, or such a mapping under 'model' or 'state_dict'",
        )
    if value.layout != torch.strided or value.device.type != "cpu":
        raise CheckpointError(f"{name!r} is not a dense tensor", where=path, found=value.layout)
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(
            f"{name!r} claims more numbers than the file holds",
            where=path,
            found=tuple(value.shape),
        )
    return value.detach()
