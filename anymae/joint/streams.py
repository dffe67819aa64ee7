"""Streams: the tokens of several modalities on one packed axis, and their way back.

A token's first coordinate is its stream; values and coordinates of narrower streams are filled up
to the widest and never read there (``observed`` is false).

Shapes: T tokens, B samples, S streams, F numbers and P coordinates of the widest stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anymae.adapter import Adapter
from anymae.kernels import ragged
from anymae.kernels.segments import Segments
from anymae.tokens import OBSERVED, Packed


@dataclass(frozen=True)
class Stream:
    """One modality of a joint batch: its ``place`` among the streams, its name and adapter, and
    whether its coordinates are ``whole`` numbers: the one axis of all streams holds floats."""

    place: int
    name: str
    adapter: Adapter
    whole: bool = False

    def rows(self, coords: Tensor) -> Tensor:
        """The places of this stream's tokens, by their first coordinate."""
        return (coords[:, 0] == self.place).nonzero()[:, 0]

    def own_coords(self, coords: Tensor) -> Tensor:
        """Coordinates (T, 1 + P) as this modality knows them."""
        own = coords[:, 1 : 1 + self.adapter.coord_dim]
        return own.long() if self.whole else own

    def of(self, joint: Packed, rows: Tensor) -> Packed:
        """This stream's tokens, at ``rows``, as its own adapter made them; samples without the
        stream have none."""
        owners = joint.segments.ids(rows.device)[rows]
        counts = torch.bincount(owners, minlength=len(joint)).cpu()
        width = self.adapter.token_dim
        mine = f"{self.name}."
        side = {k.removeprefix(mine): v[rows] for k, v in joint.side.items() if k.startswith(mine)}
        side[OBSERVED] = joint.side[OBSERVED][rows, :width]
        return Packed(
            values=joint.values[rows, :width],
            coords=self.own_coords(joint.coords[rows]),
            segments=Segments.of_lengths(counts),
            side=side,
            context={
                k.removeprefix(mine): v for k, v in joint.context.items() if k.startswith(mine)
            },
            keys=joint.keys,
        )


@dataclass(frozen=True)
class Part:
    """The tokens of one stream: ``packed`` holds the samples that have it, ``present`` (B,) says
    which those are."""

    stream: Stream
    packed: Packed | None
    present: Sequence[bool]

    def lengths(self) -> Segments:
        """Tokens of every sample of the batch, 0 where the stream is missing."""
        found = iter(() if self.packed is None else self.packed.segments.lengths.tolist())
        return Segments.of_lengths([next(found) if there else 0 for there in self.present])


def joined(parts: Sequence[Part], token_dim: int, coord_dim: int) -> Packed:
    """The tokens of every sample, stream after stream."""
    fields = [_fields(part, token_dim, coord_dim) for part in parts]
    lengths = [part.lengths() for part in parts]
    names = {name for one in fields for name in one if name not in ("values", "coords")}
    whole: dict[str, Tensor] = {}
    segments = lengths[0]
    for name in ("values", "coords", *sorted(names)):
        like = next(one[name] for one in fields if name in one)
        rows = [
            one[name] if name in one else like.new_zeros(of.total, *like.shape[1:])
            for one, of in zip(fields, lengths, strict=True)
        ]
        whole[name], segments = rows[0], lengths[0]
        for more, of in zip(rows[1:], lengths[1:], strict=True):
            whole[name], segments = ragged.join(whole[name], segments, more, of)
    values, coords = whole.pop("values"), whole.pop("coords")
    context = {name: tensor for part in parts for name, tensor in _context(part).items()}
    return Packed(values, coords, segments, whole, context)


def _fields(part: Part, token_dim: int, coord_dim: int) -> dict[str, Tensor]:
    """Everything a stream says of its tokens, filled up to the common width."""
    packed, stream = part.packed, part.stream
    if packed is None:
        return {
            "values": torch.zeros(0, token_dim),
            "coords": torch.zeros(0, coord_dim),
            OBSERVED: torch.zeros(0, token_dim, dtype=torch.bool),
        }
    known = packed.side.get(OBSERVED)
    known = torch.ones_like(packed.values, dtype=torch.bool) if known is None else known
    place = packed.coords.new_full((len(packed.coords), 1), stream.place)
    coords = torch.cat([place, packed.coords], 1).float()
    own = {f"{stream.name}.{k}": v for k, v in packed.side.items() if k != OBSERVED}
    return {
        "values": F.pad(packed.values, (0, token_dim - packed.values.shape[1])),
        "coords": F.pad(coords, (0, coord_dim - coords.shape[1])),
        OBSERVED: F.pad(known, (0, token_dim - known.shape[1])),
        **own,
    }


def _context(part: Part) -> Mapping[str, Tensor]:
    """What belongs to whole samples; zeros for samples without the stream, which nobody reads."""
    if part.packed is None:
        return {}
    there = torch.tensor(list(part.present), device=part.packed.device)
    found = {}
    for name, tensor in part.packed.context.items():
        every = tensor.new_zeros(len(there), *tensor.shape[1:])
        every[there] = tensor
        found[f"{part.stream.name}.{name}"] = every
    return found
