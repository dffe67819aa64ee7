"""Farthest points and nearest neighbours in ragged batches of point clouds."""

from anymae.kernels.neighbours.torch_native import farthest_points as farthest_points
from anymae.kernels.neighbours.torch_native import nearest as nearest

__all__ = ["farthest_points", "nearest"]
