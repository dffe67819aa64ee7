"""Attention along the edges of a graph: every node reads the nodes that point at it.

``reference`` is the definition; ``torch_native`` and ``triton`` are faster ways to the same
numbers; ``dispatch`` chooses between them and can say why.
"""

from anymae.kernels.edge_attention.adjacency import Adjacency
from anymae.kernels.edge_attention.dispatch import choose, edge_attention

__all__ = ["Adjacency", "choose", "edge_attention"]
