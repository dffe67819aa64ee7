"""Raw features: what a sample says without any encoder, the baseline of every evaluation.

They are the adapter's ``raw_features``; or a sample's token values, flattened if all samples have
as many tokens; or else the mean and the standard deviation of its token values. Wide ones are
turned to their first 256 principal components, fitted on training samples, neither whitened nor
rescaled, so that distances stay what they are.

Shapes: n samples, d features, k components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from anymae.adapter import Adapter
from anymae.data.batches import read_batch
from anymae.data.sources import Source
from anymae.evaluation.views import View, standardised
from anymae.tokens import Tokens, moments

COMPONENTS = 256
FIT_NUMBERS = 1 << 25
"""Principal components are fitted on at most this many numbers, and at most 8192 samples."""
BATCH = 64
Reduce = Callable[[Tokens], Tensor]


@dataclass(frozen=True)
class Components:
    """The first principal components of standardised features: ``basis`` (d, k)."""

    mean: Tensor
    scale: Tensor
    basis: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """(n, k) from (n, d)."""
        return ((rows - self.mean) * self.scale) @ self.basis


def raw_view(adapter: Adapter, train: Source, test: Source) -> tuple[View, str]:
    """Raw features of both sets, and what they are in words."""
    reduce, what = _reduction(adapter, (train, test))
    width = len(reduce(next(_samples(adapter, train, [0]))))
    if width <= COMPONENTS:
        rows = [_rows(adapter, source, range(len(source)), reduce) for source in (train, test)]
        return standardised(*rows), f"{what} ({width} numbers)"
    count = min(len(train), 8192, max(512, FIT_NUMBERS // width))
    chosen = np.linspace(0, len(train) - 1, count).round().astype(int)
    components = principal(_rows(adapter, train, chosen, reduce))
    rows = [
        _rows(adapter, source, range(len(source)), reduce, components) for source in (train, test)
    ]
    kept = components.basis.shape[1]
    # One factor for all components: whitening them would turn noise into signal.
    factor = rows[0].square().mean().sqrt().clamp(min=1e-30)
    view = View(rows[0] / factor, rows[1] / factor)
    return view, f"{what} ({width} numbers, {kept} principal components)"


def principal(rows: Tensor) -> Components:
    """At most 256 principal components of (n, d) rows, each column standardised."""
    mean, deviation = rows.mean(0), rows.std(0, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation.clamp(min=1e-30), 0.0)
    standard = (rows - mean) * scale
    kept = min(COMPONENTS, *standard.shape)
    if len(standard) < standard.shape[1]:  # the smaller of the two Gram matrices
        values, vectors = torch.linalg.eigh(standard @ standard.T)
        basis = standard.T @ vectors[:, -kept:] * values[-kept:].clamp(min=1e-12).rsqrt()
    else:
        basis = torch.linalg.eigh(standard.T @ standard).eigenvectors[:, -kept:]
    return Components(mean, scale, basis.flip(1))


def _reduction(adapter: Adapter, sources: Sequence[Source]) -> tuple[Reduce, str]:
    """How one sample becomes a vector, for these data."""
    first = next(_samples(adapter, sources[0], [0]))
    if adapter.raw_features(first) is not None:
        return partial(_told, adapter), "the adapter's raw features"
    lengths = {
        length
        for source in sources
        for batch in _batches(range(len(source)))
        for length in read_batch(source, adapter, batch).segments.lengths.tolist()
    }
    if len(lengths) == 1:
        return lambda tokens: tokens.values.float().flatten(), "token values"
    return moments, "mean and standard deviation of token values"


def _told(adapter: Adapter, tokens: Tokens) -> Tensor:
    features = adapter.raw_features(tokens)
    if features is None:
        raise TypeError(f"{type(adapter).__name__}.raw_features: a tensor for some samples only")
    return features.float()


def _rows(
    adapter: Adapter,
    source: Source,
    indices: Sequence[int] | np.ndarray,
    reduce: Reduce,
    components: Components | None = None,
) -> Tensor:
    """(n, d) raw features, or (n, k) of their components."""
    rows = []
    for batch in _batches(indices):
        part = torch.stack([reduce(tokens) for tokens in _samples(adapter, source, batch)])
        rows.append(part if components is None else components.of(part))
    return torch.cat(rows)


def _samples(adapter: Adapter, source: Source, indices: Sequence[int]) -> Iterator[Tokens]:
    return iter(read_batch(source, adapter, indices).split())


def _batches(indices: Sequence[int] | np.ndarray) -> Iterator[list[int]]:
    numbers = [int(i) for i in indices]
    return (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))
