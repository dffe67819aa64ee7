"""Foreign checkpoints opened: a folder, a file or a live module as tensors, facts and company.

Of a folder only the files named here are read, as JSON or tensors; nothing in it is imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from anymae.errors import CheckpointError
from anymae.interop import timm_vit, vitmae
from anymae.interop.facts import Facts
from anymae.interop.naming import TIMM, naming_of
from anymae.interop.pickled import read_pickled
from anymae.storage import read_json

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights in a model folder, the first one found is read."""
PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".tar")
MAE_LAYOUT = "facebookresearch/mae"
ACCEPTED = (
    "facebookresearch/mae .pth, transformers ViTMAE folder or module, "
    "timm ViT folder, .safetensors, .pth or module"
)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by the source's names, what is known beside their shapes, and what else was stored
    (name -> why it is not used)."""

    where: str
    tensors: Mapping[str, Tensor]
    facts: Facts
    beside: Mapping[str, str]


def open_checkpoint(checkpoint: str | Path | nn.Module) -> Checkpoint:
    """A path or live module as a ``Checkpoint``. Raises ``CheckpointError``."""
    if isinstance(checkpoint, nn.Module):
        return _of_module(checkpoint)
    path = Path(checkpoint)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise CheckpointError("no such checkpoint", where=path, expected=ACCEPTED)
    if path.name in WEIGHTS and (path.parent / "config.json").is_file():
        return _of_folder(path.parent, path)
    tensors, beside = _read(path)
    facts = _facts_of_file(path, tensors, beside)
    return Checkpoint(str(path), tensors, facts, _company(beside))


def _of_module(module: Any) -> Checkpoint:
    where = f"{type(module).__module__}.{type(module).__qualname__}"
    if vitmae.is_vitmae(module):
        facts = vitmae.facts_of_config(module.config.to_dict(), {}, where)
    elif timm_vit.is_timm_vit(module):
        facts = timm_vit.facts_of_module(module, where)
    else:
        raise CheckpointError("unknown kind of module", where=where, expected=ACCEPTED)
    tensors = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    return Checkpoint(where, tensors, facts, {})


def _of_folder(folder: Path, weights: Path | None = None) -> Checkpoint:
    place = folder / "config.json"
    config = read_json(place)
    if config.get("model_type") == vitmae.MODEL_TYPE:
        processor = folder / "preprocessor_config.json"
        images = read_json(processor) if processor.is_file() else {}
        facts = vitmae.facts_of_config(config, images, str(place))
    elif "architecture" in config:
        facts = timm_vit.facts_of_config(config, str(place))
    else:
        raise CheckpointError(
            "unknown kind of model",
            where=place,
            found=f"model_type {config.get('model_type')!r}",
            expected="model_type 'vit_mae' (transformers) or an architecture (timm)",
        )
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if weights is None and not found:
        raise CheckpointError("no weights here", where=folder, expected=" or ".join(WEIGHTS))
    tensors, beside = _read(weights or found[0])
    return Checkpoint(str(folder), tensors, facts, _company(beside))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if path.suffix in PICKLED:
        return read_pickled(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(
            "unknown kind of file", where=path, found=path.suffix or "no ending", expected=ACCEPTED
        )
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=path) from None


def _facts_of_file(path: Path, tensors: Mapping[str, Tensor], beside: Mapping[str, Any]) -> Facts:
    """Facts of a file on its own: what its names and its training options show."""
    naming = naming_of(tensors)
    if naming is not None and naming is not TIMM:
        raise CheckpointError(
            "a file of transformers without its configuration",
            where=path,
            hint="Pass the folder that holds config.json and the weights.",
        )
    has_decoder = any(name.startswith(TIMM.of_decoder) for name in tensors)
    facts = Facts(layout=MAE_LAYOUT if has_decoder or beside else timm_vit.LAYOUT)
    options = beside.get("args")
    if not isinstance(options, argparse.Namespace):
        return facts
    norm_pix, ratio = getattr(options, "norm_pix_loss", None), getattr(options, "mask_ratio", None)
    return replace(
        facts,
        norm_pix=norm_pix if isinstance(norm_pix, bool) else None,
        mask_ratio=ratio if isinstance(ratio, float) and 0 < ratio < 1 else None,
    )


def _company(beside: Mapping[str, Any]) -> dict[str, str]:
    return dict.fromkeys(beside, "state of a training script, not weights")
