"""Graphs: nodes as tokens, with attention along the edges or among all nodes of a small graph."""
