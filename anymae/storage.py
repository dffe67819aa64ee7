"""Models on disk: a folder with ``config.json`` and ``model.safetensors``, never a pickle.

Loading compares every tensor's name, shape and type with the model the configuration describes
before any weight is read; there are no partial loads.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anymae.config import validated
from anymae.errors import AnyMAEError, CheckpointError
from anymae.hub import fetch, is_hub_id
from anymae.model import Model, ModelConfig
from anymae.registry import modality

FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""
JSON_LIMIT = 64_000_000

Wanted = Mapping[str, tuple[torch.Size, torch.dtype]]
"""Shape and type of each tensor a file must hold."""


def save_model(model: Model, folder: Path) -> Path:
    """Write a model folder; it appears complete or not at all. Replaces an older model, and
    nothing else. Raises ``CheckpointError``."""
    config = {"format": FORMAT, **model.config.model_dump(mode="json")}
    return write_model_folder(folder, config, model.state_dict())


def write_model_folder(folder: Path, config: Any, tensors: Mapping[str, Tensor]) -> Path:
    """``config.json`` and ``model.safetensors``, complete or not at all, over an older such folder
    and nothing else. Raises ``CheckpointError``."""
    _refuse_to_replace(folder)
    whole = folder.absolute()
    scratch = whole.with_name(f".tmp-{whole.name}-{os.getpid()}")
    older = whole.with_name(f".old-{whole.name}-{os.getpid()}")
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        write_json(scratch / "config.json", config)
        write_tensors(scratch / "model.safetensors", tensors)
        if whole.exists():
            whole.rename(older)
        scratch.rename(whole)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)
    sync_folder(whole.parent)
    return folder


def _refuse_to_replace(folder: Path) -> None:
    """Whatever is there is deleted, so it must be a model (or nothing)."""
    if all((folder / name).exists() for name in ("config.json", "model.safetensors")):
        return
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise CheckpointError(
            "there is something here already, and it is not a model",
            where=folder,
            hint="Choose another folder.",
        )


def load(place: str | Path, revision: str | None = None) -> Model:
    """A model from a run folder, a model folder or a hub id, on CPU, in eval mode.

    ``revision`` pins a hub id's branch, tag or commit. Raises ``CheckpointError`` if anything is
    missing, damaged or does not fit.
    """
    folder = Path(place)
    if not folder.exists() and is_hub_id(str(place)):
        folder = fetch(str(place), revision)
    if (folder / "model" / "config.json").exists():
        folder = folder / "model"
    unfinished = (folder / "checkpoints").exists()
    if unfinished or not (folder / "config.json").exists():
        raise CheckpointError(
            "no model here",
            where=place,
            expected="a run folder with model/, or a folder with config.json and model.safetensors",
            hint="An unfinished run has no model yet: continue it with `anymae resume`.",
        )
    return load_model(folder)


def load_model(folder: Path) -> Model:
    """A model from a model folder. Raises ``CheckpointError``."""
    config = read_config(folder / "config.json")
    try:
        adapter = validated(modality(config.modality), config.adapter, "adapter")
        with torch.device("meta"):  # so that a configuration of absurd size costs nothing
            shape = Model(adapter, config.recipe, config.encoder)
    except AnyMAEError as error:
        raise CheckpointError(str(error), where=folder / "config.json") from None
    tensors = read_tensors(folder / "model.safetensors", shapes_of(shape.state_dict()))
    model = Model(adapter, config.recipe, config.encoder)
    model.load_state_dict(tensors)
    return model.eval()


def read_config(path: Path) -> ModelConfig:
    """A model's configuration from JSON. Raises ``CheckpointError``."""
    fields = read_json(path)
    if fields.get("kind") == "finetuned":
        raise CheckpointError(
            "this is a fine-tuned model", where=path, hint="Use anymae.FineTuned.load(folder)."
        )
    version = fields.pop("format", None)
    if not isinstance(version, int) or version > FORMAT:
        raise CheckpointError(
            "unknown format version", where=path, found=version, expected=f"at most {FORMAT}"
        )
    try:
        return validated(ModelConfig, fields, str(path))
    except AnyMAEError as error:
        raise CheckpointError(str(error)) from None


def shapes_of(tensors: Mapping[str, Tensor]) -> Wanted:
    """What a file must hold to fill these tensors."""
    return {name: (t.shape, t.dtype) for name, t in tensors.items()}


def read_tensors(path: Path, wanted: Wanted) -> dict[str, Tensor]:
    """Tensors of a safetensors file, copied out of it. Raises ``CheckpointError`` unless names,
    shapes and types are exactly those wanted."""
    try:
        with safe_open(path, "pt") as file:
            _refuse_differences(path, file, wanted)
            return {name: file.get_tensor(name).clone() for name in wanted}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=path) from None


def _refuse_differences(path: Path, file: Any, wanted: Wanted) -> None:
    found = set(file.keys())
    for what, names in (("missing", wanted.keys() - found), ("unknown", found - wanted.keys())):
        if names:
            raise CheckpointError(
                f"{len(names)} {what} tensors, the first {min(names)!r}", where=path
            )
    for name, (shape, dtype) in wanted.items():
        part = file.get_slice(name)
        if tuple(part.get_shape()) != tuple(shape):
            raise CheckpointError(
                f"tensor {name!r} has another shape",
                where=path,
                found=tuple(part.get_shape()),
                expected=tuple(shape),
            )
        if part.get_dtype() != _DTYPES.get(dtype, str(dtype)):
            raise CheckpointError(
                f"tensor {name!r} has another type",
                where=path,
                found=part.get_dtype(),
                expected=_DTYPES.get(dtype, str(dtype)),
            )


_DTYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file with ordinary permissions, on disk when this returns. Raises
    ``CheckpointError`` naming the path if the disk is full or read-only."""
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
        _sync_file(path)
    except (SafetensorError, OSError) as error:
        raise cannot_write(path, error) from None


def write_json(path: Path, content: Any) -> None:
    """A JSON file, complete and on disk when this returns, or not there at all. Raises
    ``CheckpointError``."""
    text = json.dumps(_plain(content), indent=1, allow_nan=False)
    with replaced(path) as scratch:
        scratch.write_text(text)
        _sync_file(scratch)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to; it takes the place of ``path`` at the end, or vanishes.
    Raises ``CheckpointError`` where the disk is full or read-only."""
    scratch = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        yield scratch
        scratch.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        with suppress(OSError):
            scratch.unlink()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size. Raises ``CheckpointError``."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise CheckpointError("file too large", where=path, found=path.stat().st_size)
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read as JSON: {error}", where=path) from None
    if not isinstance(content, dict):
        raise CheckpointError("not a JSON object", where=path, found=type(content).__name__)
    return content


def cannot_write(path: Path, error: Exception) -> CheckpointError:
    """The error for a failed write, with the room there is."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 1e6:,.0f} MB free"
    except OSError:
        free = None
    return CheckpointError(
        f"cannot be written: {error}",
        where=path,
        found=free,
        hint="Make room or choose another folder; older checkpoints are untouched.",
    )


def _plain(content: Any) -> Any:
    return content.model_dump(mode="json") if isinstance(content, BaseModel) else content


def _sync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make renames inside a folder durable, where the system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
