"""Farthest points and nearest neighbours in ragged batches of point clouds.

``reference`` is the definition; ``torch_native`` and ``triton`` are faster ways to the same
choices; ``dispatch`` chooses between them and can say why.
"""

from anymae.kernels.neighbours.dispatch import choose, farthest_points, nearest

__all__ = ["choose", "farthest_points", "nearest"]
