"""Layers of hypergraph networks over `moiety.graph.Hypergraph`."""

from moiety.nn.hypergraph.attention import AllSetConv
from moiety.nn.hypergraph.diffusion import EDHNNConv
from moiety.nn.hypergraph.incidence import HGNNConv, UniGCNConv, UniSAGEConv
from moiety.nn.hypergraph.laplacian import HyperGCNConv

__all__ = ["AllSetConv", "EDHNNConv", "HGNNConv", "HyperGCNConv", "UniGCNConv", "UniSAGEConv"]
