"""Attention along the edges of a graph: every node reads the nodes that point at it."""

from anymae.kernels.edge_attention.scatter import edge_attention as edge_attention

__all__ = ["edge_attention"]
