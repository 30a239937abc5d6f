"""Layers that two parties can evaluate cheaply, gates that search among them, layers on graphs and hypergraphs."""

from moiety.nn.channel_mix import ChannelMix
from moiety.nn.gate import Gate
from moiety.nn.graph import (
    APPNP,
    ChebConv,
    EdgeConv,
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    HeteroConv,
    ResGatedGraphConv,
    RGCNConv,
    SAGEConv,
    SGConv,
)
from moiety.nn.hadamard import Hadamard
from moiety.nn.hypergraph import AllSetConv, EDHNNConv, HGNNConv, HyperGCNConv, UniGCNConv, UniSAGEConv
from moiety.nn.initialise import initialise_x2
from moiety.nn.watch import DivergenceError, RangeWatch, clip_slopes
from moiety.nn.x2act import X2Act, fit_quadratic
from moiety.nn.zigzag import ZigzagImage

__all__ = [
    "APPNP",
    "AllSetConv",
    "ChannelMix",
    "ChebConv",
    "DivergenceError",
    "EDHNNConv",
    "EdgeConv",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GINEConv",
    "Gate",
    "HGNNConv",
    "Hadamard",
    "HeteroConv",
    "HyperGCNConv",
    "RGCNConv",
    "RangeWatch",
    "ResGatedGraphConv",
    "SAGEConv",
    "SGConv",
    "UniGCNConv",
    "UniSAGEConv",
    "X2Act",
    "ZigzagImage",
    "clip_slopes",
    "fit_quadratic",
    "initialise_x2",
]
