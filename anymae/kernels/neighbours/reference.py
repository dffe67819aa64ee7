"""The definition of farthest points and nearest neighbours, one sample at a time: plain and slow.

Shapes: B samples, N points of A axes, M queries, C chosen points, K neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.segments import Segments


def farthest_points(points: Tensor, of_points: Segments, counts: Tensor) -> Tensor:
    """In each sample, ``counts[b]`` of its points, each as far as can be from those before it
    (farthest point sampling, Gonzalez 1985; Eldar et al. 1997).

    ``points`` (N, A) are cut by ``of_points``; ``counts`` (B,) int64 on the CPU, each between 1
    and the sample's points. Returns (C,) indices into N. The first is the point farthest from the
    coordinates' origin, ties go to the earlier point, and no point is chosen twice.
    """
    chosen: list[int] = []
    for sample, count in enumerate(counts.tolist()):
        start, stop = of_points.offsets[sample : sample + 2].tolist()
        own = points[start:stop].double()
        far = own.square().sum(1)
        taken: list[int] = []
        for _ in range(count):
            free = [i for i in range(len(own)) if i not in taken]
            taken.append(max(free, key=lambda i: (float(far[i]), -i)))
            apart = (own - own[taken[-1]]).square().sum(1)
            far = apart if len(taken) == 1 else torch.minimum(far, apart)
        chosen += [start + i for i in taken]
    return torch.tensor(chosen)


def nearest(
    points: Tensor, of_points: Segments, queries: Tensor, of_queries: Segments, k: int
) -> Tensor:
    """The ``k`` points of its own sample nearest to each query, nearest first, ties to the earlier.

    ``points`` (N, A) and ``queries`` (M, A) are cut into the same B samples. Returns (M, k)
    indices into N, -1 where a sample has fewer than ``k`` points.
    """
    rows = []
    for sample in range(len(of_points)):
        start, stop = of_points.offsets[sample : sample + 2].tolist()
        first, last = of_queries.offsets[sample : sample + 2].tolist()
        for query in queries[first:last].double():
            apart = (points[start:stop].double() - query).square().sum(1).tolist()
            order = sorted(range(len(apart)), key=lambda i: (apart[i], i))[:k]
            rows.append([start + i for i in order] + [-1] * (k - len(order)))
    return torch.tensor(rows)
