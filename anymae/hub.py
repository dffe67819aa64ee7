"""Models on the Hugging Face hub: two kinds of file, ``*.safetensors`` and ``*.json``, no code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from anymae.errors import CheckpointError, missing_extra

FILES = ("*.safetensors", "*.json")


def is_hub_id(place: str) -> bool:
    """Whether a name has the form ``owner/name``."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", place) is not None and ".." not in place


def fetch(hub_id: str, revision: str | None = None) -> Path:
    """The folder of a model downloaded from the hub. Raises ``CheckpointError``, and
    ``MissingExtra`` without huggingface_hub."""
    try:
        return Path(_hub().snapshot_download(hub_id, revision=revision, allow_patterns=FILES))
    except Exception as error:  # the hub's client raises many types: network, rights, names
        raise CheckpointError(
            f"cannot be fetched from the hub: {type(error).__name__}: {error}",
            where=hub_id,
            expected="a folder on this machine, or the id of a model on the hub",
        ) from None


def push(folder: Path, hub_id: str, *, private: bool) -> str:
    """Upload a model folder; returns the commit's address. Raises ``CheckpointError``."""
    api = _hub().HfApi()
    try:
        api.create_repo(hub_id, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=hub_id, folder_path=folder, allow_patterns=FILES))
    except Exception as error:  # as above
        raise CheckpointError(
            f"cannot be pushed to the hub: {type(error).__name__}: {error}", where=hub_id
        ) from None


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise missing_extra("huggingface_hub", "hub", "the hub") from None
    return huggingface_hub
