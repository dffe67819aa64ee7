"""Position tables of other projects: recomputed where they are MAE's sines, kept where learned.

Other encoders store a vector for the class token's place too and add it; ours has no such place,
so the sum of the two becomes our class token. That computes the same.

Shapes: N patches, R leading tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from anymae.errors import CheckpointError
from anymae.interop.anatomy import Anatomy
from anymae.interop.naming import Naming
from anymae.interop.rules import Shape
from anymae.positions import Position, SinCosPosition, TablePosition

CLOSE = 1e-4
"""Largest difference from the formula that is rounding: stored tables are float32."""


@dataclass(frozen=True)
class Placed:
    """The position part, our tensors that hold places or leading tokens, and for the report:
    source names used (-> ours) and not used (-> why)."""

    position: Position
    filled: Mapping[str, Tensor]
    used: Mapping[str, str]
    unused: Mapping[str, str]


def wanted_places(
    naming: Naming, anatomy: Anatomy, grid: tuple[int, int], tensors: Mapping[str, Tensor]
) -> dict[str, Shape]:
    """The source's tensors that ``placed`` reads and their shapes. A table may leave out the
    leading tokens (timm's ``no_embed_class``)."""
    count, width = grid[0] * grid[1], anatomy.encoder.width
    table = tensors.get(naming.positions)
    bare = table is not None and table.ndim == 3 and table.shape[1] == count
    wanted: dict[str, Shape] = {}
    wanted[naming.positions] = (1, count + (0 if bare else anatomy.lead), width)
    if anatomy.cls:
        wanted[naming.cls] = (1, 1, width)
    if anatomy.registers:
        wanted[naming.registers] = (1, anatomy.registers, width)
    if anatomy.decoder is not None:
        wanted[naming.decoder_positions] = (1, count + 1, anatomy.decoder.width)
    return wanted


def placed(
    naming: Naming,
    anatomy: Anatomy,
    grid: tuple[int, int],
    tensors: Mapping[str, Tensor],
    where: str,
) -> Placed:
    """Positions and leading tokens from tensors of the wanted shapes. Raises ``CheckpointError``
    for a decoder that gives its class token a place, which ours cannot."""
    count = grid[0] * grid[1]
    tables = {"position.table": naming.positions}
    if anatomy.decoder is not None:
        tables["decoder.position.table"] = naming.decoder_positions
        first = tensors[naming.decoder_positions][0, 0].float()
        if float(first.abs().max()) > _rounding(tensors[naming.decoder_positions]):
            raise CheckpointError(
                f"{naming.decoder_positions} gives the class token a place, ours has none",
                where=where,
                found=f"{float(first.abs().max()):.3g} in row 0",
                expected="zeros",
            )
    patches = {ours: tensors[theirs][0, -count:] for ours, theirs in tables.items()}
    lead, used = _lead(naming, anatomy, count, tensors)
    filled = {"encoder.lead": lead}
    if all(_is_sin_cos(table, grid) for table in patches.values()):
        reason = f"MAE's fixed sines, equal to ours within {CLOSE:g}: recomputed"
        unused = {theirs: reason for theirs in tables.values() if theirs not in used}
        return Placed(SinCosPosition(), filled, used, unused)
    for ours, theirs in tables.items():
        used[theirs] = f"{used[theirs]} + {ours}" if theirs in used else ours
        filled[ours] = patches[ours].float()
    return Placed(TablePosition(shape=grid), filled, used, {})


def _lead(
    naming: Naming, anatomy: Anatomy, count: int, tensors: Mapping[str, Tensor]
) -> tuple[Tensor, dict[str, str]]:
    """(R, D): the leading tokens with their places added, and the names that went into them."""
    names = [naming.cls] * anatomy.cls + [naming.registers] * bool(anatomy.registers)
    used = dict.fromkeys(names, "encoder.lead")
    rows = [tensors[name][0].float() for name in names]
    table = tensors[naming.positions][0].float()
    lead = torch.cat(rows) if rows else table[:0]
    places = table[: len(table) - count]
    if len(places) and bool(places.any()):
        used[naming.positions] = "encoder.lead"
        lead = lead + places
    return lead, used


def _is_sin_cos(table: Tensor, grid: tuple[int, int]) -> bool:
    coords = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1]))
    ours = SinCosPosition().build(2, table.shape[1])(coords)
    return float((table.float() - ours).abs().max()) <= _rounding(table)


def _rounding(table: Tensor) -> float:
    return max(CLOSE, torch.finfo(table.dtype).eps)
