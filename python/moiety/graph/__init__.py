"""Graphs as sparse matrices: built from anything, checked once, with what kernels and layers ask of them kept."""

from moiety.graph.graph import Graph

__all__ = ["Graph"]
