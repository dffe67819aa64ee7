"""Tokens, one sample; Packed, a ragged batch of them and the currency between rooms.

A batch is never padded: the tokens of all samples lie on one axis, cut by ``Segments``. Equal
lengths are recognised there and take dense paths; they are a special case, not the model.
Shapes are checked here, once, and trusted everywhere else.

Shapes: B samples, T tokens, F numbers a token, P coordinates a token, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from anymae.errors import BadConfig, BadInput
from anymae.kernels.segments import Segments

OBSERVED = "observed"
"""The ``side`` entry (n, F) bool that says which numbers of a token are known; without it, all are.
What is not known is never shown as a number, never asked for and never scored."""


class Edges(NamedTuple):
    """Directed pairs of token indices, ``pairs`` (2, E) as (from, to), and what they hold,
    ``values`` (E, Fe), if anything."""

    pairs: Tensor
    values: Tensor | None = None

    def among(self, index: Tensor, total: int) -> Edges:
        """Edges with both ends in ``index`` (S,), some of ``total`` tokens, renumbered to it."""
        new = torch.full((total,), -1, dtype=torch.int64, device=index.device)
        new[index] = torch.arange(len(index), device=index.device)
        pairs = new[self.pairs]
        return Edges(pairs, self.values).at((pairs >= 0).all(0))

    def at(self, kept: Tensor) -> Edges:
        """The edges where ``kept`` (E,) is true."""
        return Edges(self.pairs[:, kept], None if self.values is None else self.values[kept])

    def moved(self, by: int) -> Edges:
        """The edges with their indices raised."""
        return Edges(self.pairs + by, self.values)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Edges:
        """The edges with every tensor changed."""
        return Edges(change(self.pairs), None if self.values is None else change(self.values))


@dataclass(frozen=True)
class Tokens:
    """One sample as tokens.

    ``values`` (n, F) is what a token holds, ``coords`` (n, P) where it is, in the modality's own
    coordinates. ``side`` holds more per token, first axis n (column, time, energy ...);
    ``context`` holds what belongs to the whole sample and is needed to undo tokenization
    (statistics, sizes). ``edges`` are directed pairs of token indices.
    """

    values: Tensor
    coords: Tensor
    side: Mapping[str, Tensor] = field(default_factory=dict)
    context: Mapping[str, Tensor] = field(default_factory=dict)
    edges: Edges | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.coords.ndim != 2:
            raise BadInput(
                "tokens must be matrices",
                found=f"values {tuple(self.values.shape)}, coords {tuple(self.coords.shape)}",
                expected="values (n, token_dim), coords (n, coord_dim)",
            )
        for name, tensor in {"coords": self.coords, **self.side}.items():
            if len(tensor) != len(self.values):
                raise BadInput(
                    f"{name} and values disagree on the number of tokens",
                    found=f"{len(tensor)} and {len(self.values)}",
                )
        if self.edges is not None:
            self._refuse_bad_edges(*self.edges)

    def _refuse_bad_edges(self, edges: Tensor, values: Tensor | None) -> None:
        """An index past the sample's end would silently point into the next sample of a batch."""
        if values is not None and (values.ndim != 2 or len(values) != edges.shape[-1]):
            raise BadInput(
                "edges and their values disagree",
                found=f"edges {tuple(edges.shape)}, values {tuple(values.shape)}",
                expected="(2, E) and (E, edge_dim)",
            )
        fits = edges.ndim == 2 and len(edges) == 2 and not edges.dtype.is_floating_point
        inside = True
        if fits and edges.numel() and edges.device.type == "cpu":  # elsewhere it would wait
            inside = int(edges.min()) >= 0 and int(edges.max()) < len(self)
        if not (fits and inside):
            raise BadInput(
                "edges must be pairs of token indices",
                found=f"shape {tuple(edges.shape)}"
                + ("" if inside else f", indices {int(edges.min())} to {int(edges.max())}"),
                expected=f"integers of shape (2, E) from 0 to {len(self) - 1}",
            )

    def __len__(self) -> int:
        return len(self.values)


def moments(tokens: Tokens) -> Tensor:
    """(2 F,) the mean and the standard deviation of a sample's values, number by number."""
    values = tokens.values.float()
    return torch.cat([values.mean(0), values.std(0, correction=0)])


@dataclass(frozen=True)
class Packed:
    """A ragged batch: B samples on one axis of T tokens.

    ``values`` (T, F), ``coords`` (T, P), ``segments`` cuts T into B; ``side`` per token (T, ...),
    ``context`` per sample (B, ...), ``edges`` between places of the packed axis, ``keys`` (B,)
    int64 names each sample's random draws (see ``draws``).
    """

    values: Tensor
    coords: Tensor
    segments: Segments
    side: Mapping[str, Tensor] = field(default_factory=dict)
    context: Mapping[str, Tensor] = field(default_factory=dict)
    edges: Edges | None = None
    keys: Tensor | None = None
    views: int = 1
    """Above 1, the batch is its first B / ``views`` samples as many times (see ``views``)."""

    @property
    def offsets(self) -> Tensor:
        """(B + 1,) int64 on the CPU: sample b owns tokens ``offsets[b]:offsets[b + 1]``."""
        return self.segments.offsets

    @property
    def device(self) -> torch.device:
        return self.values.device

    @property
    def drawing_keys(self) -> Tensor:
        """``keys``, for those who draw. Raises ``BadConfig`` if the batch has none."""
        if self.keys is None:
            raise BadConfig("nothing can be drawn for a batch without keys: use Packed.with_keys")
        return self.keys

    def __len__(self) -> int:
        return len(self.segments)

    @classmethod
    def of(cls, samples: Sequence[Tokens]) -> Packed:
        """Pack samples in order. All must have the same F, P, side and context names."""
        if not samples:
            raise BadInput("cannot pack an empty batch", found="0 samples")
        first = samples[0]
        for i, sample in enumerate(samples):
            _refuse_mismatch(i, sample, first)
        segments = Segments.of_lengths(len(s) for s in samples)
        return cls(
            values=torch.cat([s.values for s in samples]),
            coords=torch.cat([s.coords for s in samples]),
            segments=segments,
            side={k: torch.cat([s.side[k] for s in samples]) for k in first.side},
            context={k: torch.stack([s.context[k] for s in samples]) for k in first.context},
            edges=_joined_edges([s.edges for s in samples], segments.offsets.tolist()),
        )

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Packed:
        """Apply ``change`` to every tensor that can live on a device."""
        return replace(
            self,
            values=change(self.values),
            coords=change(self.coords),
            side={k: change(v) for k, v in self.side.items()},
            context={k: change(v) for k, v in self.context.items()},
            edges=None if self.edges is None else self.edges.mapped(change),
            keys=None if self.keys is None else change(self.keys),
        )

    def to(self, device: torch.device | str) -> Packed:
        """The batch on a device; offsets stay on the host."""
        return self._mapped(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> Packed:
        """The batch in page-locked memory, so that ``to`` overlaps with computation."""
        return self._mapped(lambda t: t.pin_memory())

    def with_keys(self, keys: Tensor) -> Packed:
        """The batch with (B,) int64 keys for its random draws."""
        return replace(self, keys=keys.to(self.device))

    def select(self, index: Tensor, segments: Segments) -> Packed:
        """The tokens at ``index`` (S,), already ordered by sample and cut by ``segments``.

        Edges with both ends selected are kept and renumbered.
        """
        return replace(
            self,
            values=self.values.index_select(0, index),
            coords=self.coords.index_select(0, index),
            side={k: v.index_select(0, index) for k, v in self.side.items()},
            segments=segments,
            edges=self.edges_among(index),
            views=1,
        )

    def edges_among(self, index: Tensor) -> Edges | None:
        """The edges with both ends in ``index`` (S,), renumbered to it."""
        return None if self.edges is None else self.edges.among(index, self.segments.total)

    def slice(self, start: int, stop: int) -> Packed:
        """Samples ``start:stop`` as a batch of their own (a view where possible)."""
        a, b = int(self.offsets[start]), int(self.offsets[stop])
        edges = self.edges
        if edges is not None:
            edges = edges.at((edges.pairs[0] >= a) & (edges.pairs[0] < b)).moved(-a)
        return Packed(
            values=self.values[a:b],
            coords=self.coords[a:b],
            segments=Segments(self.offsets[start : stop + 1] - a),
            side={k: v[a:b] for k, v in self.side.items()},
            context={k: v[start:stop] for k, v in self.context.items()},
            edges=edges,
            keys=None if self.keys is None else self.keys[start:stop],
        )

    def split(self) -> list[Tokens]:
        """The samples again, one ``Tokens`` each: the inverse of ``of``."""
        return list(self._samples())

    def _samples(self) -> Iterator[Tokens]:
        for i in range(len(self)):
            one = self.slice(i, i + 1)
            context = {k: v[0] for k, v in one.context.items()}
            yield Tokens(one.values, one.coords, one.side, context, one.edges)


def concatenate(batches: Sequence[Packed]) -> Packed:
    """Batches after one another on the sample axis. All must have the same fields."""
    first = batches[0]
    segments = Segments.of_lengths(torch.cat([b.segments.lengths for b in batches]))
    starts = torch.tensor([0, *(b.segments.total for b in batches)]).cumsum(0).tolist()
    return Packed(
        values=torch.cat([b.values for b in batches]),
        coords=torch.cat([b.coords for b in batches]),
        segments=segments,
        side={k: torch.cat([b.side[k] for b in batches]) for k in first.side},
        context={k: torch.cat([b.context[k] for b in batches]) for k in first.context},
        edges=_joined_edges([b.edges for b in batches], starts),
        keys=None if first.keys is None else torch.cat([b.drawing_keys for b in batches]),
    )


def _joined_edges(parts: Sequence[Edges | None], starts: Sequence[int]) -> Edges | None:
    """The edges of packed parts, each moved to where its tokens start."""
    moved = [part.moved(start) for part, start in zip(parts, starts, strict=False) if part]
    if not moved:
        return None
    values = [part.values for part in moved if part.values is not None]
    return Edges(
        torch.cat([part.pairs for part in moved], 1), torch.cat(values) if values else None
    )


def _refuse_mismatch(i: int, sample: Tokens, first: Tokens) -> None:
    if len(sample) == 0:
        raise BadInput("a sample without tokens cannot be packed", where=f"sample {i} of the batch")
    found, wanted = _kind(sample), _kind(first)
    if found != wanted:
        raise BadInput(
            "samples of one batch must have tokens of one kind",
            where=f"sample {i} of the batch",
            found=found,
            expected=f"{wanted} as in the first sample",
        )


def _kind(sample: Tokens) -> str:
    """What samples of one batch must share."""
    side = {name: tuple(t.shape[1:]) for name, t in sorted(sample.side.items())}
    context = {name: tuple(t.shape) for name, t in sorted(sample.context.items())}
    edges = "no edges"
    if sample.edges is not None:
        values = sample.edges.values
        edges = f"edges of {0 if values is None else values.shape[1]} numbers"
    return (
        f"token_dim {sample.values.shape[1]}, coord_dim {sample.coords.shape[1]}, side {side}, "
        f"context {context}, {edges}"
    )
