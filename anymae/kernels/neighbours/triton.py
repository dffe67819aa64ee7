"""Farthest points and nearest neighbours as Triton kernels.

Distances are added axis by axis, every sum and product rounded by itself, as in ``torch_native``:
the bits are the same, and with them every choice and every tie.

Shapes: B samples, N points of A axes, M queries, C chosen points, K neighbours.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from anymae.kernels.segments import Segments

POINTS = 1024
"""Points that a program holds at once where it looks for the farthest."""
QUERIES, CANDIDATES = 8, 256
"""Queries that a program answers, and points that it compares with them at once."""

# Points and queries come axis by axis, (A, N) and (A, M). Contraction into fused multiply-adds
# would change bits, so it is switched off wherever a kernel is started.


@triton.jit
def _farthest(
    points, start, chosen_start, chosen, far, total, AXES: tl.constexpr, POINTS: tl.constexpr
):
    """One sample's choices, written to ``chosen`` (C,). ``far`` (N,) is its working memory: every
    point's squared distance to the nearest choice, -1 for the choices themselves."""
    sample = tl.program_id(0)
    begin, end = tl.load(start + sample), tl.load(start + sample + 1)
    slot, last_slot = tl.load(chosen_start + sample), tl.load(chosen_start + sample + 1)
    newest = begin - 1  # none yet: distances are those to the origin
    first_slot = slot
    while slot < last_slot:
        best = -2.0
        winner = begin
        at = begin
        while at < end:
            place = at + tl.arange(0, POINTS)
            there = place < end
            apart = tl.zeros([POINTS], tl.float32)
            axis = points
            for _ in tl.static_range(AXES):
                here = tl.load(axis + place, mask=there, other=0.0)
                centre = tl.load(axis + newest, mask=newest >= begin, other=0.0)
                apart += (here - centre) * (here - centre)
                axis += total
            if slot > first_slot + 1:
                apart = tl.minimum(apart, tl.load(far + place, mask=there, other=0.0))
            apart = tl.where(place == newest, -1.0, apart)
            tl.store(far + place, apart, mask=there)
            apart = tl.where(there, apart, -2.0)
            top = tl.max(apart, 0)
            earliest = at + tl.argmax(apart, 0, tie_break_left=True)
            winner = tl.where(top > best, earliest, winner)
            best = tl.maximum(best, top)
            at += POINTS
        tl.store(chosen + slot, winner)
        newest = winner
        slot += 1
        tl.debug_barrier()  # ``far`` is read again by whichever thread comes to it


@triton.jit
def _nearest(
    points, start, queries, query_start, found, total, asked, blocks, neighbours,
    AXES: tl.constexpr, QUERIES: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """The neighbours of QUERIES queries of one sample, written to ``found`` (M, K).

    A candidate's key is its distance's bits with its place below them; bits of floats from 0 on are
    ordered as the floats, so that no two keys are equal. Each turn takes the smallest key beyond
    the turn before, computing distances anew: nothing but the last key is kept, whatever N and K.
    """
    sample = tl.program_id(0) // blocks
    begin, end = tl.load(start + sample), tl.load(start + sample + 1)
    query = tl.load(query_start + sample) + (tl.program_id(0) % blocks) * QUERIES
    query += tl.arange(0, QUERIES)
    asks = query < tl.load(query_start + sample + 1)
    nothing = tl.full([QUERIES], 0x7FFFFFFFFFFFFFFF, tl.int64)
    taken = tl.full([QUERIES], -1, tl.int64)
    turn = 0
    while turn < neighbours:
        best = nothing
        at = begin
        while at < end:
            place = at + tl.arange(0, CANDIDATES)
            there = place < end
            apart = tl.zeros([QUERIES, CANDIDATES], tl.float32)
            axis, asking = points, queries
            for _ in tl.static_range(AXES):
                here = tl.load(axis + place, mask=there, other=0.0)
                mine = tl.load(asking + query, mask=asks, other=0.0)
                apart += (here[None, :] - mine[:, None]) * (here[None, :] - mine[:, None])
                axis += total
                asking += asked
            key = apart.to(tl.int32, bitcast=True).to(tl.int64) << 32
            key += (place - begin)[None, :]
            key = tl.where(there[None, :] & (key > taken[:, None]), key, nothing[:, None])
            best = tl.minimum(best, tl.min(key, 1))
            at += CANDIDATES
        place = tl.where(best == nothing, -1, begin + (best & 0xFFFFFFFF))
        tl.store(found + query * neighbours + turn, place, mask=asks)
        taken = best
        turn += 1


def farthest_points(points: Tensor, of_points: Segments, counts: Tensor) -> Tensor:
    """As ``reference.farthest_points``, in float32."""
    of_chosen = Segments.of_lengths(counts)
    chosen = torch.empty(of_chosen.total, dtype=torch.int64, device=points.device)
    if of_chosen.total:
        axes = points.float().T.contiguous()
        with torch.cuda.device_of(points):
            _farthest[(len(of_points),)](
                axes, of_points.offsets.to(points.device), of_chosen.offsets.to(points.device),
                chosen, torch.empty_like(axes[0]), axes.shape[1],
                AXES=len(axes), POINTS=POINTS, enable_fp_fusion=False,
            )  # fmt: skip
    return chosen


def nearest(
    points: Tensor, of_points: Segments, queries: Tensor, of_queries: Segments, k: int
) -> Tensor:
    """As ``reference.nearest``, in float32."""
    found = torch.empty(len(queries), k, dtype=torch.int64, device=points.device)
    if len(queries):
        axes, asked = points.float().T.contiguous(), queries.float().T.contiguous()
        blocks = triton.cdiv(of_queries.longest, QUERIES)
        with torch.cuda.device_of(points):
            _nearest[(len(of_points) * blocks,)](
                axes, of_points.offsets.to(points.device),
                asked, of_queries.offsets.to(points.device), found,
                axes.shape[1], asked.shape[1], blocks, k,
                AXES=len(axes), QUERIES=QUERIES, CANDIDATES=CANDIDATES, enable_fp_fusion=False,
            )  # fmt: skip
    return found
