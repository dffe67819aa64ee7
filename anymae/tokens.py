"""Tokens, one sample; Packed, a ragged batch of them and the currency between rooms.

A batch is never padded: the tokens of all samples lie on one axis, cut by ``Segments``. Equal
lengths are recognised there and take dense paths; they are a special case, not the model.
Shapes are checked here, once, and trusted everywhere else.

Shapes: B samples, T tokens, F numbers a token, P coordinates a token, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from anymae.errors import BadConfig, BadInput
from anymae.kernels.segments import Segments


@dataclass(frozen=True)
class Tokens:
    """One sample as tokens.

    ``values`` (n, F) is what a token holds, ``coords`` (n, P) where it is, in the modality's own
    coordinates. ``side`` holds more per token, first axis n (column, time, energy ...);
    ``context`` holds what belongs to the whole sample and is needed to undo tokenization
    (statistics, sizes). ``edges`` (2, E) are directed pairs of token indices.
    """

    values: Tensor
    coords: Tensor
    side: Mapping[str, Tensor] = field(default_factory=dict)
    context: Mapping[str, Tensor] = field(default_factory=dict)
    edges: Tensor | None = None

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
            self._refuse_bad_edges(self.edges)

    def _refuse_bad_edges(self, edges: Tensor) -> None:
        """An index past the sample's end would silently point into the next sample of a batch."""
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


@dataclass(frozen=True)
class Packed:
    """A ragged batch: B samples on one axis of T tokens.

    ``values`` (T, F), ``coords`` (T, P), ``segments`` cuts T into B; ``side`` per token (T, ...),
    ``context`` per sample (B, ...), ``edges`` (2, E) into the packed axis, ``keys`` (B,) int64
    names each sample's random draws (see ``draws``).
    """

    values: Tensor
    coords: Tensor
    segments: Segments
    side: Mapping[str, Tensor] = field(default_factory=dict)
    context: Mapping[str, Tensor] = field(default_factory=dict)
    edges: Tensor | None = None
    keys: Tensor | None = None

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
            edges=None
            if first.edges is None
            else torch.cat(
                [s.edges + start for s, start in zip(samples, segments.offsets, strict=False)],
                dim=1,
            ),
        )

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Packed:
        """Apply ``change`` to every tensor that can live on a device."""
        return replace(
            self,
            values=change(self.values),
            coords=change(self.coords),
            side={k: change(v) for k, v in self.side.items()},
            context={k: change(v) for k, v in self.context.items()},
            edges=None if self.edges is None else change(self.edges),
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
            edges=self._edges_among(index),
        )

    def _edges_among(self, index: Tensor) -> Tensor | None:
        if self.edges is None:
            return None
        new = torch.full((self.segments.total,), -1, dtype=torch.int64, device=self.device)
        new[index] = torch.arange(len(index), device=self.device)
        edges = new[self.edges]
        return edges[:, (edges >= 0).all(0)]

    def slice(self, start: int, stop: int) -> Packed:
        """Samples ``start:stop`` as a batch of their own (a view where possible)."""
        a, b = int(self.offsets[start]), int(self.offsets[stop])
        edges = self.edges
        if edges is not None:
            edges = edges[:, (edges[0] >= a) & (edges[0] < b)] - a
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
        edges=None
        if first.edges is None
        else torch.cat([b.edges + start for b, start in zip(batches, starts, strict=False)], 1),
        keys=None if first.keys is None else torch.cat([b.drawing_keys for b in batches]),
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
    return (
        f"token_dim {sample.values.shape[1]}, coord_dim {sample.coords.shape[1]}, side {side}, "
        f"context {context}, {'no ' if sample.edges is None else ''}edges"
    )
