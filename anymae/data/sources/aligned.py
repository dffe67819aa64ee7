"""Aligned: several data sets of one length, one a stream, as joint samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anymae.data.sources.source import Source, digest
from anymae.errors import BadInput


class Aligned(Source):
    """Sample i is a tuple of sample i of each source (None where a source holds None). Raises
    ``BadInput`` unless all have the same length."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = dict(sources)
        lengths = {name: len(source) for name, source in self.sources.items()}
        if len(set(lengths.values())) != 1:
            raise BadInput(
                "aligned data sets must have as many samples each",
                found=", ".join(f"{n} {length}" for n, length in lengths.items()),
                hint="Where a sample lacks a stream, let its data set hold None.",
            )
        self.length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self.length

    def where(self, index: int) -> str:
        return f"sample {index}"

    def fingerprint(self) -> str:
        return digest("aligned", *(f"{n} {s.fingerprint()}" for n, s in self.sources.items()))

    def _load(self, index: int) -> Any:
        return tuple(source[index] for source in self.sources.values())


def streams_of(dataset: Any, names: Sequence[str]) -> dict[str, Any] | None:
    """The data set of each stream, from a tuple or a mapping by name; None if ``dataset`` is
    neither (a list of joint samples, say)."""
    if isinstance(dataset, Mapping) and set(dataset) == set(names):
        return {name: dataset[name] for name in names}
    if isinstance(dataset, tuple) and len(dataset) == len(names):
        return dict(zip(names, dataset, strict=True))
    return None
