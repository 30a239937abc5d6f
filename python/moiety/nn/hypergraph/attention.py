"""AllSet's layer: two multiset functions in turn, from nodes to hyperedges and back (E. Chien et al., You are AllSet: A
Multiset Function Framework for Hypergraph Neural Networks, ICLR 2022)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph, Hypergraph
from moiety.nn.graph.attention import head_scores
from moiety.nn.graph.convolution import reduce_of
from moiety.nn.graph.messages import reset
from moiety.nn.graph.parts import glorot
from moiety.nn.hypergraph.parts import perceptron
from moiety.nn.hypergraph.structure import check_nodes, looped, sides
from moiety.ops import gat_aggregate, spmm

__all__ = ["AllSetConv"]


class AllSetConv(nn.Module):
    """z_e = f({x_v : v in e}), x_v' = g({z_e : e of v}), with f and g multiset functions.

    heads=0, AllDeepSets: inner perceptrons, their "mean" or "sum" (`aggr`), outer perceptrons. heads > 0,
    AllSetTransformer: attention of learned queries over the multiset, a residual of the queries, layer
    normalisation, and a residual perceptron. layers: of every perceptron. self_loops: every node is a hyperedge by
    itself as well. Weights of the hypergraph do not count.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        heads: int = 0,
        layers: int = 2,
        aggr: str = "mean",
        dropout: float = 0.0,
        self_loops: bool = True,
    ) -> None:
        super().__init__()
        if heads < 0 or (heads and out_channels % heads) or layers < 1 or reduce_of(aggr) not in ("mean", "sum"):
            raise ValueError(
                f"expected heads that divide out_channels or 0, layers >= 1, aggr 'mean' or 'sum', got {heads} and "
                f"{out_channels}, {layers}, {aggr!r}"
            )
        self.in_channels, self.out_channels, self.heads, self.self_loops = in_channels, out_channels, heads, self_loops
        shapes = (in_channels, out_channels), (out_channels, out_channels)
        self.to_hyperedges, self.to_nodes = (
            _Attended(inside, outside, heads, layers, dropout)
            if heads
            else _Summed(inside, outside, layers, aggr, dropout)
            for inside, outside in shapes
        )

    def reset_parameters(self) -> None:
        reset(self.to_hyperedges)
        reset(self.to_nodes)

    def forward(self, x: Tensor, hypergraph: Hypergraph) -> Tensor:
        """x (nodes, in_channels). Returns (nodes, out_channels)."""
        check_nodes("AllSetConv", x, hypergraph)
        over = sides(looped(hypergraph) if self.self_loops else hypergraph)
        z = F.relu(self.to_hyperedges(x, over.to_hyperedges))  # (hyperedges, out_channels)
        return cast(Tensor, self.to_nodes(z, over.to_nodes))

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


class _Summed(nn.Module):
    """rho(aggregate of phi(x)) over the sources of every target."""

    def __init__(self, in_channels: int, out_channels: int, layers: int, aggr: str, dropout: float) -> None:
        super().__init__()
        self.aggr = reduce_of(aggr)
        self.inner = perceptron(in_channels, out_channels, out_channels, layers, dropout=dropout, norm=True)
        self.outer = perceptron(out_channels, out_channels, out_channels, layers, dropout=dropout, norm=True)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:  # (sources, in_channels) -> (targets, out_channels)
        return cast(Tensor, self.outer(spmm(graph, F.relu(self.inner(x)), reduce=self.aggr)))


class _Attended(nn.Module):
    """h = LN(q + sum_j softmax_j(LeakyReLU(<q, K x_j>)) V x_j), then LN(h + ReLU(perceptron(h))); q: a query a head."""

    def __init__(self, in_channels: int, out_channels: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width = heads, out_channels // heads
        self.key, self.value = nn.Linear(in_channels, out_channels), nn.Linear(in_channels, out_channels)
        self.query = nn.Parameter(torch.empty(1, heads, self.width))
        self.norms = nn.ModuleList(nn.LayerNorm(out_channels) for _ in range(2))
        self.outer = perceptron(out_channels, out_channels, out_channels, layers, dropout=dropout)
        glorot(self.query)

    def reset_parameters(self) -> None:
        for network in (self.key, self.value, self.norms, self.outer):
            reset(network)
        glorot(self.query)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:  # (sources, in_channels) -> (targets, out_channels)
        shape = (-1, self.heads, self.width)
        scores = head_scores(self.key(x).view(shape), self.query)  # (sources, heads)
        none = scores.new_zeros(graph.num_rows, self.heads)
        read = gat_aggregate(graph, self.value(x).view(shape), scores, none, 0.2)
        h = self.norms[0]((read.view(shape) + self.query).flatten(1))
        return cast(Tensor, self.norms[1](h + F.relu(self.outer(h))))
