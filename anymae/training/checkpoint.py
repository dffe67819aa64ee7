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
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from anymae import __version__
from anymae.config import validated
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


class Circumstances(BaseModel):
    """What the last bits of a result depend on beside the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    torch_version: str
    threads: int
    processes: int
    device: str

    @staticmethod
    def here(processes: int, device: torch.device) -> Circumstances:
        """Those of this process."""
        return Circumstances(
            torch_version=torch.__version__,
            threads=torch.get_num_threads(),
            processes=processes,
            device=device.type,
        )

    def differences(self, other: Circumstances) -> list[str]:
        """What is not the same, e.g. ``"threads 2, now 1"``."""
        mine, theirs = self.model_dump(), other.model_dump()
        return [f"{key} {mine[key]}, now {theirs[key]}" for key in mine if mine[key] != theirs[key]]


class Fingerprint(BaseModel):
    """A file's size and hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class Manifest(BaseModel):
    """``manifest.json``: written last, so that a folder with one is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    step: int
    anymae: str
    circumstances: Circumstances
    files: dict[str, Fingerprint]


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run: named groups of tensors, and everything else as plain JSON."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    circumstances: Circumstances


class Checkpoints:
    """The ``checkpoints/`` folder of a run. ``warn`` is told what was found damaged."""

    def __init__(self, folder: Path, keep: int, warn: Callable[[str], None]) -> None:
        self.folder, self.keep, self.warn = folder, keep, warn

    def save(self, snapshot: Snapshot, spare: int = 0) -> Path:
        """Write a checkpoint, then delete the oldest beyond ``keep``, that of step ``spare`` last.
        Raises ``CheckpointError`` with the older ones untouched if it cannot be written."""
        final = self.folder / name_of(snapshot.step)
        if final.exists():
            return final
        scratch = self.folder / f".tmp-{final.name}-{os.getpid()}"
        try:
            scratch.mkdir(parents=True)
            _fill(scratch, snapshot)
            scratch.rename(final)
        except OSError as error:
            raise cannot_write(scratch, error) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        sync_folder(self.folder)
        older = [step for step in self.steps() if step != snapshot.step]
        older.sort(key=lambda step: (step == spare, step))
        for step in older[: len(older) + 1 - self.keep]:
            self._delete(self.folder / name_of(step))
        return final

    def _delete(self, folder: Path) -> None:
        """First under a name that nobody reads: half a checkpoint must not look like one."""
        doomed = folder.with_name(f".tmp-{folder.name}-{os.getpid()}-old")
        try:
            folder.rename(doomed)
        except OSError:
            doomed = folder
        shutil.rmtree(doomed, ignore_errors=True)

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, sound or not, oldest first."""
        names = [p.name for p in self.folder.glob("step-*")]
        return sorted(int(n[5:]) for n in names if n[5:].isdecimal())

    def newest(self, wanted: Mapping[str, Wanted], upto: int | None = None) -> Snapshot | None:
        """The newest sound checkpoint with the ``wanted`` groups of tensors, of step ``upto`` at
        most, or None if there is none at all. Raises ``CheckpointError`` if all are damaged, or one
        was written by a version of anymae that is newer than this."""
        reasons = []
        for step in reversed(self.steps()):
            if upto is not None and step > upto:
                continue
            folder = self.folder / name_of(step)
            _refuse_newer(folder / "manifest.json")
            try:
                return _read(folder, wanted)
            except AnyMAEError as error:
                reasons.append(str(error))
                self.warn(f"checkpoint {folder.name} is damaged and not used: {error}")
        if reasons:
            raise CheckpointError(
                "every checkpoint is damaged",
                where=self.folder,
                found=reasons[0],
                hint="Nothing was overwritten. Start in another folder.",
            )
        return None


def name_of(step: int) -> str:
    """The name of a checkpoint's folder."""
    return f"step-{step:09d}"


def _fill(folder: Path, snapshot: Snapshot) -> None:
    for group, tensors in snapshot.tensors.items():
        write_tensors(folder / f"{group}.safetensors", tensors)
    write_json(folder / "state.json", snapshot.state)
    manifest = Manifest(
        format=FORMAT,
        step=snapshot.step,
        anymae=__version__,
        circumstances=snapshot.circumstances,
        files={p.name: _fingerprint(p) for p in sorted(folder.iterdir())},
    )
    write_json(folder / "manifest.json", manifest)
    sync_folder(folder)


def _read(folder: Path, wanted: Mapping[str, Wanted]) -> Snapshot:
    path = folder / "manifest.json"
    manifest = validated(Manifest, read_json(path), str(path))
    if manifest.step != int(folder.name[5:]):
        raise CheckpointError("of another step", where=folder, found=manifest.step)
    for name in manifest.files:
        if Path(name).name != name:
            raise CheckpointError("not a file of this folder", where=path, found=repr(name))
    for name in ("state.json", *(f"{group}.safetensors" for group in wanted)):
        if manifest.files.get(name) != _fingerprint(folder / name):
            raise CheckpointError("file does not match its hash", where=folder / name)
    tensors = {
        group: read_tensors(folder / f"{group}.safetensors", shapes)
        for group, shapes in wanted.items()
    }
    state = read_json(folder / "state.json")
    return Snapshot(manifest.step, tensors, state, manifest.circumstances)


def _refuse_newer(path: Path) -> None:
    """Damage is passed over; a format that is not known yet is not damage."""
    try:
        version = read_json(path).get("format")
    except CheckpointError:
        return
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointError(
            "written by a newer anymae",
            where=path.parent,
            found=f"format {version}",
            expected=f"at most {FORMAT}",
            hint="Update anymae.",
        )


def _fingerprint(path: Path) -> Fingerprint:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Fingerprint(size=path.stat().st_size, sha256=digest)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error}", where=path) from None
