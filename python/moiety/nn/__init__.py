"""Layers that two parties can evaluate cheaply, gates that search among them, and layers of graph networks."""

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
from moiety.nn.initialise import initialise_x2
from moiety.nn.watch import DivergenceError, RangeWatch, clip_slopes
from moiety.nn.x2act import X2Act, fit_quadratic

__all__ = [
    "APPNP",
    "ChannelMix",
    "ChebConv",
    "DivergenceError",
    "EdgeConv",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GINEConv",
    "Gate",
    "Hadamard",
    "HeteroConv",
    "RGCNConv",
    "RangeWatch",
    "ResGatedGraphConv",
    "SAGEConv",
    "SGConv",
    "X2Act",
    "clip_slopes",
    "fit_quadratic",
    "initialise_x2",
]
