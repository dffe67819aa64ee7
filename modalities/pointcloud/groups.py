"""Groups: neighbourhoods of points far from one another, which overlap and cover the cloud.

Shapes: B clouds, N points of C numbers (A axes first), M groups of K points.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anymae.kernels.neighbours import farthest_points, nearest
from anymae.kernels.segments import Segments
from anymae.tokens import OBSERVED, Packed


def group_counts(points: Sequence[int], size: int, overlap: float, most: int) -> Tensor:
    """(B,) int64: as many groups of ``size`` as hold each cloud ``overlap`` times, at most
    ``most`` and at most one a point. Point-MAE's choices (64 groups of 32 for 1,024 points, 128
    for 2,048, 512 for 8,192) are an overlap of 2."""
    wanted = [min(n, most, max(1, round(overlap * n / size))) for n in points]
    return torch.tensor(wanted, dtype=torch.int64)


def groups(clouds: Sequence[Tensor], axes: int, size: int, spread: float, counts: Tensor) -> Packed:
    """Clouds, each (n, C), as ``counts`` (B,) groups: values (M, K C), coordinates (M, A).

    A group holds the K points nearest to its centre, nearest first, relative to it and divided by
    ``spread``; the centre itself is the first. What smaller clouds lack is not observed.
    """
    points = torch.cat(list(clouds))
    of_points, of_groups = Segments.of_lengths(map(len, clouds)), Segments.of_lengths(counts)
    places = points[:, :axes].contiguous()
    centres = places[farthest_points(places, of_points, counts)]
    index = nearest(places, of_points, centres, of_groups, size)
    there = (index >= 0)[..., None]
    members = points[index.clamp(min=0)]
    members[..., :axes] = (members[..., :axes] - centres[:, None]) * (1 / spread)
    members = members.masked_fill(~there, 0.0)
    observed = there.expand_as(members).flatten(1)
    return Packed(members.flatten(1), centres, of_groups, side={OBSERVED: observed})
