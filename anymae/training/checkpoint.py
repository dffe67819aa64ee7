"""Checkpoints: folders that appear by one rename, with a hash of every file.

A folder is complete or not there; the newest whose manifest verifies is used. Nothing else points
at it, nothing in it is a pickle, and an old one is deleted only after a new one is on disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymae import __version__
from anymae.errors import AnyMAEError, CheckpointError
from anymae.storage import (
    FORMAT,
    Wanted,
    cannot_write,
    read_json,
    read_tensors,
    sync_folder,
    write_json,
    write_tensors,
)


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run: named groups of tensors, and everything else as plain JSON."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


class Checkpoints:
    """The ``checkpoints/`` folder of a run. ``warn`` is told what was found damaged."""

    def __init__(self, folder: Path, keep: int, warn: Callable[[str], None]) -> None:
        self.folder, self.keep, self.warn = folder, keep, warn

    def clear_unfinished(self) -> None:
        """Delete what earlier processes left half-written; only with the run's lock held."""
        for path in self.folder.glob(".tmp-step-*"):
            shutil.rmtree(path, ignore_errors=True)

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint, then delete the oldest beyond ``keep``. Raises ``CheckpointError``
        with the older ones untouched if it cannot be written."""
        final = self.folder / f"step-{snapshot.step:09d}"
        if final.exists():
            return final
        scratch = self.folder / f".tmp-{final.name}-{os.getpid()}"
        try:
            scratch.mkdir(parents=True)
            self._fill(scratch, snapshot)
            scratch.rename(final)
        except OSError as error:
            raise cannot_write(scratch, error) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        sync_folder(self.folder)
        for old in self._names()[: -self.keep]:
            shutil.rmtree(self.folder / old, ignore_errors=True)
        return final

    def _fill(self, folder: Path, snapshot: Snapshot) -> None:
        for group, tensors in snapshot.tensors.items():
            write_tensors(folder / f"{group}.safetensors", tensors)
        write_json(folder / "state.json", snapshot.state)
        manifest = {
            "format": FORMAT,
            "step": snapshot.step,
            "anymae": __version__,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "files": {p.name: _fingerprint(p) for p in sorted(folder.iterdir())},
        }
        write_json(folder / "manifest.json", manifest)
        sync_folder(folder)

    def newest(self, wanted: Mapping[str, Wanted]) -> Snapshot | None:
        """The newest sound checkpoint with the ``wanted`` groups of tensors, or None if there is
        none at all. Raises ``CheckpointError`` if all are damaged."""
        reasons = []
        for name in reversed(self._names()):
            try:
                return self._read(self.folder / name, wanted)
            except AnyMAEError as error:
                reasons.append(str(error))
                self.warn(f"checkpoint {name} is damaged and not used: {error}")
        if reasons:
            raise CheckpointError(
                "every checkpoint is damaged",
                where=self.folder,
                found=reasons[0],
                hint="Nothing was overwritten. Start in another folder.",
            )
        return None

    def _read(self, folder: Path, wanted: Mapping[str, Wanted]) -> Snapshot:
        manifest = read_json(folder / "manifest.json")
        version = manifest.get("format")
        if not isinstance(version, int) or version > FORMAT:
            raise CheckpointError(
                "unknown format version", where=folder, found=version, expected=FORMAT
            )
        for name, fingerprint in dict(manifest.get("files", {})).items():
            if Path(name).name != name or _fingerprint(folder / name) != fingerprint:
                raise CheckpointError("file does not match its hash", where=folder / name)
        tensors = {
            group: read_tensors(folder / f"{group}.safetensors", shapes)
            for group, shapes in wanted.items()
        }
        return Snapshot(int(manifest["step"]), tensors, read_json(folder / "state.json"))

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.name.startswith("step-"))


def _fingerprint(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": path.stat().st_size, "sha256": digest}
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error}", where=path) from None
