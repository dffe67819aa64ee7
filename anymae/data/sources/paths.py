"""Paths: what a path, a pattern or a list of paths stands for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from anymae.adapter import Adapter
from anymae.data.sources.files import Files, no_match, readable
from anymae.data.sources.folders import endings, scan, sub_folders
from anymae.data.sources.npy_file import MappedArray
from anymae.data.sources.npz_file import open_npz
from anymae.data.sources.parquet import Parquet
from anymae.data.sources.patterns import expand, fixed_part, is_pattern, missing
from anymae.data.sources.source import Source
from anymae.data.sources.tar_shards import TarShards
from anymae.errors import BadInput
from anymae.limits import Limits

_COMPRESSED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".gz", ".zip")


class Opener:
    """Opens paths for one adapter; ``label_key`` names the label column of tables."""

    def __init__(self, adapter: Adapter, limits: Limits, label_key: str | None) -> None:
        self.adapter = adapter
        self.limits = limits
        self.label_key = label_key

    def path(self, path: str | os.PathLike[str]) -> Source:
        """A folder, a file or a pattern. Raises ``BadInput`` naming it."""
        text = os.path.expanduser(os.fspath(path))
        if not text.strip() or "\0" in text:
            raise BadInput("not a path", where="dataset", found=repr(text))
        if os.path.isdir(text):
            return self._folder(text)
        if os.path.exists(text):
            return self._file(text)
        if is_pattern(text):
            return self._pattern(text)
        raise missing(text)

    def list(self, paths: Sequence[str | os.PathLike[str]]) -> Source:
        """Files in the order given, of which none may be missing or of another kind."""
        texts = [os.path.expanduser(os.fspath(path)) for path in paths]
        for text in texts:
            if not os.path.lexists(text):
                raise missing(text)
            if os.path.isdir(text):
                raise BadInput("a list of paths holds files", where=text, found="a folder")
        shards = self._shards(texts)
        return self._files(texts) if shards is None else shards

    def _files(self, paths: Sequence[str]) -> Source:
        for path in paths:
            if not readable(path, self.adapter):
                raise no_match(path, self.adapter, endings([path]))
        return Files(paths, self.adapter)

    def _file(self, path: str) -> Source:
        if not os.path.isfile(path):
            raise BadInput("not a regular file", where=path)
        if path.lower().endswith(".npy"):
            return MappedArray(path)
        if path.lower().endswith(".npz"):
            return open_npz(path, self.adapter, self.limits)
        shards = self._shards([path])
        return self._files([path]) if shards is None else shards

    def _shards(self, paths: Sequence[str]) -> Source | None:
        """Tar or Parquet shards, if all are of that kind and the adapter reads no such files."""
        lowered = [path.lower() for path in paths]
        if any(readable(path, self.adapter) for path in lowered):
            return None
        for path in lowered:
            if path.endswith(_COMPRESSED):
                raise BadInput(
                    "compressed archives cannot be read by index",
                    where=path,
                    hint="Decompress it: a folder, or an uncompressed .tar.",
                )
        if lowered and all(path.endswith(".tar") for path in lowered):
            return TarShards(paths, self.adapter, self.limits)
        if lowered and all(path.endswith(".parquet") for path in lowered):
            return Parquet(paths, self.adapter, self.limits, self.label_key)
        return None

    def _folder(self, folder: str) -> Source:
        files, links = scan(folder)
        if links:
            print(
                f"note: links to folders in {folder} are not followed: {links[0]}"
                + (f" and {len(links) - 1} more" if len(links) > 1 else ""),
                file=sys.stderr,
            )
        matching = [name for name in files if readable(name, self.adapter)]
        if not matching:
            shards = next(
                (e for e in (".tar", ".parquet") if any(f.endswith(e) for f in files)), ""
            )
            hint = f"For shards pass {os.path.join(folder, '*' + shards)}" if shards else None
            raise no_match(folder, self.adapter, endings(files), hint)
        return Files(
            [os.path.join(folder, name) for name in matching],
            self.adapter,
            sub_folders(matching, folder),
        )

    def _pattern(self, pattern: str) -> Source:
        paths = expand(pattern, self.limits)
        root = fixed_part(pattern)
        if not paths and root and not os.path.isdir(root):
            raise missing(root)
        shards = self._shards(paths)
        if shards is not None:
            return shards
        matching = [path for path in paths if readable(path, self.adapter)]
        if not matching:
            raise no_match(pattern, self.adapter, endings(paths))
        below = [path[len(root) :].lstrip("/") for path in matching]
        return Files(matching, self.adapter, sub_folders(below, root))
