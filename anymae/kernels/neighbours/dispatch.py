"""Which search for farthest points and nearest neighbours runs, and why."""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.kernels.choice import Choice, triton_or
from anymae.kernels.neighbours import torch_native
from anymae.kernels.segments import Segments


def choose(device: torch.device) -> Choice:
    """The implementation for points on ``device``."""
    return triton_or("torch_native", device)


def farthest_points(points: Tensor, of_points: Segments, counts: Tensor) -> Tensor:
    """In each sample, ``counts[b]`` of its points, each as far as can be from those before it
    (farthest point sampling, Gonzalez 1985; Eldar et al. 1997).

    ``points`` (N, A) are cut by ``of_points``; ``counts`` (B,) int64 on the CPU, each between 1
    and the sample's points. Returns (C,) indices into N. Distances are those of float32; where
    these are exact, equal to ``reference.farthest_points``. The same on every device.
    """
    if choose(points.device).body == "triton":
        from anymae.kernels.neighbours import triton

        return triton.farthest_points(points, of_points, counts)
    return torch_native.farthest_points(points, of_points, counts)


def nearest(
    points: Tensor, of_points: Segments, queries: Tensor, of_queries: Segments, k: int
) -> Tensor:
    """The ``k`` points of its own sample nearest to each query, nearest first, ties to the earlier.

    ``points`` (N, A) and ``queries`` (M, A) are cut into the same B samples. Returns (M, k)
    indices into N, -1 where a sample has fewer than ``k`` points. Distances are those of float32;
    where these are exact, equal to ``reference.nearest``. The same on every device.
    """
    if choose(points.device).body == "triton":
        from anymae.kernels.neighbours import triton

        return triton.nearest(points, of_points, queries, of_queries, k)
    return torch_native.nearest(points, of_points, queries, of_queries, k)
