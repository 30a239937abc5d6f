"""UniGCN and UniSAGE: two aggregations in turn, over hyperedges and over nodes (J. Huang and J. Yang, UniGNN: a Unified
Framework for Graph and Hypergraph Neural Networks, IJCAI 2021). Sizes and dropout are those of its program."""

from __future__ import annotations

from functools import partial

from moiety.models.graph_parts import sizes
from moiety.models.hypergraph_parts import Convolutions
from moiety.models.parts import Activation
from moiety.models.registry import register_model
from moiety.nn.hypergraph import UniGCNConv, UniSAGEConv

__all__ = ["unigcn", "unisage"]

PAPER = "J. Huang and J. Yang, UniGNN: a Unified Framework for Graph and Hypergraph Neural Networks, IJCAI 2021"


@register_model("unisage", paper=PAPER)
def unisage(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 2,
    dropout: float = 0.6,
    input_dropout: float = 0.6,
    activation: Activation = "relu",
    first: str = "mean",
    second: str = "sum",
    self_loops: bool = False,
    normalize: bool = False,
) -> Convolutions:
    """A node's own features and the sum over its hyperedges of their means"""
    build = partial(UniSAGEConv, first=first, second=second, self_loops=self_loops, normalize=normalize)
    return Convolutions(build, sizes(in_features, hidden, layers, num_classes), dropout, input_dropout, activation)


@register_model("unigcn", paper=PAPER)
def unigcn(
    in_features: int,
    num_classes: int,
    hidden: int = 64,
    layers: int = 2,
    dropout: float = 0.6,
    input_dropout: float = 0.6,
    activation: Activation = "relu",
    self_loops: bool = True,
    normalize: bool = False,
) -> Convolutions:
    """The sum over a node's hyperedges of their means, normalised by both degrees"""
    build = partial(UniGCNConv, self_loops=self_loops, normalize=normalize)
    return Convolutions(build, sizes(in_features, hidden, layers, num_classes), dropout, input_dropout, activation)
