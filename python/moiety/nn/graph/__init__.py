"""Layers of graph networks over `moiety.graph.Graph` or PyTorch Geometric's edge_index, with its parameter names."""

from moiety.nn.graph.attention import GATConv, GATv2Conv
from moiety.nn.graph.convolution import APPNP, GCNConv, SAGEConv, SGConv
from moiety.nn.graph.messages import EdgeConv, GINConv, GINEConv, ResGatedGraphConv
from moiety.nn.graph.parts import SparseLinear
from moiety.nn.graph.relational import HeteroConv, RGCNConv
from moiety.nn.graph.spectral import ChebConv
from moiety.nn.graph.structure import Features, Structure

__all__ = [
    "APPNP",
    "ChebConv",
    "EdgeConv",
    "Features",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GINEConv",
    "HeteroConv",
    "RGCNConv",
    "ResGatedGraphConv",
    "SAGEConv",
    "SGConv",
    "SparseLinear",
    "Structure",
]
