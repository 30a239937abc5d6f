"""Layers that aggregate by a fixed matrix: y = A x W, with A the adjacency, normalised, averaged or taken to a power.

Aggregation and linear transformation commute, so each layer takes them in the order that moves fewer numbers along the
edges (`aggregated_linear`). Parameters have the names that PyTorch Geometric gives them: its state dicts load.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.nn.graph.parts import glorot, linear, rows_of, set_bias, zeros
from moiety.nn.graph.structure import Features, Pair, Structure, as_graph, edge_values, gcn_graph, pair_of, unweighted
from moiety.ops import spmm
from moiety.ops.graph_spmm import Reduce

__all__ = ["APPNP", "GCNConv", "SAGEConv", "SGConv"]


def reduce_of(aggr: str) -> Reduce:
    """PyG's name of an aggregation as that of `spmm`."""
    name = "sum" if aggr == "add" else aggr
    if name not in ("sum", "mean", "max", "min"):
        raise ValueError(f"aggr must be 'sum' (or 'add'), 'mean', 'max' or 'min', got {aggr!r}")
    return cast(Reduce, name)


def aggregated_linear(
    graph: Graph,
    x: Features,
    matrix: Tensor,
    bias: Tensor | None,
    weight: Tensor | None = None,
    reduce: Reduce = "sum",
) -> Tensor:
    """A x M^T + b for a linear reduction, x (sources, in), M (out, in), b (out,) -> (targets, out), a new tensor.

    Aggregating first moves `in` numbers an edge forward, and `in` backward if x needs a gradient; transforming first
    moves `out` both times.
    """
    out_features, in_features = matrix.shape
    if isinstance(x, Tensor):
        x_learns = torch.is_grad_enabled() and x.requires_grad
        learns = x_learns or (torch.is_grad_enabled() and matrix.requires_grad)
        if in_features * (1 + x_learns) <= out_features * (1 + learns):
            return F.linear(spmm(graph, x, weight, reduce), matrix, bias)
    y: Tensor = spmm(graph, linear(x, matrix), weight, reduce)
    return y if bias is None else y.add_(bias)


class GCNConv(nn.Module):
    """x' = D^-1/2 (A + I) D^-1/2 x W + b (T. Kipf and M. Welling, ICLR 2017, equation 2), D the degrees of A + I.

    improved: A + 2 I, also of edges without weights, where PyG 2.8 forgets it. normalize=False: A itself, for graphs
    that are normalised already. `cached` is taken for PyG's sake: normalisations are remembered in any case.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        improved: bool = False,
        cached: bool = False,
        add_self_loops: bool | None = None,
        normalize: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if add_self_loops and not normalize:
            raise ValueError("add_self_loops=True wants normalize=True: add loops to the graph itself otherwise")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.improved, self.cached, self.normalize = improved, cached, normalize
        self.add_self_loops = normalize if add_self_loops is None else add_self_loops
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        set_bias(self, out_channels if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.lin.weight)
        zeros(self.bias)

    def forward(self, x: Features, edge_index: Structure, edge_weight: Tensor | None = None) -> Tensor:
        """x (nodes, in_channels), dense or a sparse `Graph`; edge_weight (E,). Returns (nodes, out_channels)."""
        graph = as_graph(edge_index, rows_of(x), rows_of(x))
        weight = edge_values(edge_index, graph, edge_weight)
        if self.normalize:
            dtype = self.lin.weight.dtype
            graph, weight = gcn_graph(graph, weight, dtype, improved=self.improved, loops=self.add_self_loops)
        return aggregated_linear(graph, x, self.lin.weight, self.bias, weight)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


class SAGEConv(nn.Module):
    """x_i' = W_r x_i + W_l aggregate_j x_j + b (W. Hamilton, R. Ying and J. Leskovec, NeurIPS 2017, algorithm 1).

    aggr: "mean", "sum" ("add"), "max" or "min". project: x_j first through ReLU(W x_j + b), with aggr="max" the paper's
    pooling aggregator (equation 3). normalize: rows of the result to length 1. Weights of the graph do not count.
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        aggr: str = "mean",
        normalize: bool = False,
        root_weight: bool = True,
        project: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        source, target = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        reduce_of(aggr)
        self.in_channels, self.out_channels, self.aggr = in_channels, out_channels, aggr
        self.normalize, self.root_weight, self.project = normalize, root_weight, project
        if project:
            self.lin = nn.Linear(source, source)
        self.lin_l = nn.Linear(source, out_channels, bias=bias)
        if root_weight:
            self.lin_r = nn.Linear(target, out_channels, bias=False)

    def reset_parameters(self) -> None:
        for module in self.children():
            cast(nn.Linear, module).reset_parameters()

    def forward(self, x: Pair | Graph, edge_index: Structure, size: tuple[int, int] | None = None) -> Tensor:
        """x (nodes, in_channels), or a pair for sources and targets; a target of None adds no root.

        size: (sources, targets) where they cannot be told from x. Returns (targets, out_channels).
        """
        source: Features
        target: Features | None
        source, target = (x, x) if isinstance(x, Graph) else pair_of(x)
        targets = rows_of(target) if target is not None else size[1] if size is not None else None
        graph = unweighted(as_graph(edge_index, rows_of(source), targets))
        if self.project:
            source = F.relu(linear(source, self.lin.weight, self.lin.bias))
        reduce = reduce_of(self.aggr)
        if reduce in ("max", "min"):
            if isinstance(source, Graph):
                raise ValueError(f"aggr={self.aggr!r} wants dense features: make x dense, or take project=True")
            y = F.linear(spmm(graph, source, reduce=reduce), self.lin_l.weight, self.lin_l.bias)
        else:
            y = aggregated_linear(graph, source, self.lin_l.weight, self.lin_l.bias, reduce=reduce)
        if self.root_weight and target is not None:
            if isinstance(target, Graph):
                y = y + linear(target, self.lin_r.weight)
            else:
                y.addmm_(target, self.lin_r.weight.t())  # no tensor of its own for the product
        return F.normalize(y, p=2.0, dim=-1) if self.normalize else y

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr}"


class SGConv(nn.Module):
    """x' = (D^-1/2 (A + I) D^-1/2)^K x W + b (F. Wu et al., Simplifying Graph Convolutional Networks, ICML 2019,
    equation 8).

    cached: the propagated features of the first call are kept and all later calls use them, whatever they are given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int = 1,
        cached: bool = False,
        add_self_loops: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if K < 0:
            raise ValueError(f"K must be 0 or more steps, got {K}")
        self.in_channels, self.out_channels, self.K = in_channels, out_channels, K
        self.cached, self.add_self_loops = cached, add_self_loops
        self._cached_x: Tensor | None = None
        self.lin = nn.Linear(in_channels, out_channels, bias=bias)

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()
        self._cached_x = None

    def forward(self, x: Features, edge_index: Structure, edge_weight: Tensor | None = None) -> Tensor:
        """x (nodes, in_channels); edge_weight (E,). Returns (nodes, out_channels)."""
        lin = self.lin
        if self._cached_x is not None:
            return F.linear(self._cached_x.detach(), lin.weight, lin.bias)
        given = as_graph(edge_index, rows_of(x), rows_of(x))
        weight = edge_values(edge_index, given, edge_weight)
        graph, weight = gcn_graph(given, weight, lin.weight.dtype, loops=self.add_self_loops)
        if not self.cached and (isinstance(x, Graph) or self.out_channels < self.in_channels):  # narrower on the edges
            y = linear(x, lin.weight)
            for _ in range(self.K):
                y = spmm(graph, y, weight)
            return y if lin.bias is None else y + lin.bias
        if isinstance(x, Graph):
            raise ValueError("cached=True keeps propagated features, which are dense: give x dense, or cached=False")
        propagated = x
        for _ in range(self.K):
            propagated = spmm(graph, propagated, weight)
        if self.cached:
            self._cached_x = propagated
        return F.linear(propagated, lin.weight, lin.bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, K={self.K}"


class APPNP(nn.Module):
    """Z_0 = x, Z_{k+1} = (1 - alpha) D^-1/2 (A + I) D^-1/2 Z_k + alpha x (J. Gasteiger et al., ICLR 2019, equation 5).

    K steps towards personalised PageRank with teleport probability alpha. dropout: of the matrix's entries, drawn anew
    in each step of a training. No parameters.
    """

    def __init__(
        self,
        K: int,
        alpha: float,
        dropout: float = 0.0,
        cached: bool = False,
        add_self_loops: bool = True,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if K < 0 or not 0 <= alpha <= 1 or not 0 <= dropout < 1:
            raise ValueError(f"expected K >= 0, alpha in [0, 1], dropout in [0, 1), got {K}, {alpha}, {dropout}")
        self.K, self.alpha, self.dropout = K, alpha, dropout
        self.cached, self.add_self_loops, self.normalize = cached, add_self_loops, normalize

    def reset_parameters(self) -> None:
        """There are none."""

    def forward(self, x: Tensor, edge_index: Structure, edge_weight: Tensor | None = None) -> Tensor:
        """x (nodes, features); edge_weight (E,). Returns (nodes, features)."""
        graph = as_graph(edge_index, len(x), len(x))
        weight = edge_values(edge_index, graph, edge_weight)
        if self.normalize:
            graph, weight = gcn_graph(graph, weight, x.dtype, loops=self.add_self_loops)
        entries = graph.weight if weight is None else weight
        z = x
        for _ in range(self.K):
            if self.dropout and self.training:
                ones = x.new_ones(graph.num_edges) if entries is None else entries
                weight = F.dropout(ones, self.dropout)
            z = torch.lerp(spmm(graph, z, weight), x, self.alpha)
        return z

    def extra_repr(self) -> str:
        return f"K={self.K}, alpha={self.alpha}"
