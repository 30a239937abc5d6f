"""The forms of a hypergraph that layers compute on, made once for each hypergraph and remembered with it.

Everything here is two products in turn: from nodes to hyperedges and back, over the incidence and its transpose. A
hypergraph's expansion, in which a hyperedge of k nodes has k^2 entries, is never built.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor

from moiety.graph import Graph, Hypergraph
from moiety.nn.graph.structure import Features
from moiety.ops import spmm

__all__ = ["Sides", "averaged", "check_nodes", "normalized", "remembered", "sides"]

T = TypeVar("T")
Normalization = Literal["symmetric", "row"]


@dataclass(frozen=True)
class Sides:
    """Both directions of an incidence; each edge has a weight or counts one."""

    to_hyperedges: Graph  # rows are hyperedges, columns are nodes
    to_nodes: Graph

    def apply(self, x: Tensor) -> Tensor:
        """x (nodes, features) to hyperedges and back, sums both ways: (nodes, features)."""
        return cast(Tensor, spmm(self.to_nodes, spmm(self.to_hyperedges, x)))


def remembered(hypergraph: Hypergraph, key: Hashable, make: Callable[[], T]) -> T:
    """`make()`, once for each hypergraph and key."""
    known: dict[Hashable, Any] = hypergraph.__dict__.setdefault("_forms", {})
    if key not in known:
        known[key] = make()
    return cast(T, known[key])


def check_nodes(name: str, x: Features, hypergraph: Hypergraph) -> None:
    """Raise ValueError unless there is one row of features a node, TypeError for what is no hypergraph."""
    if not isinstance(hypergraph, Hypergraph):
        raise TypeError(f"{name}: expected a moiety.graph.Hypergraph, got {type(hypergraph).__name__}")
    rows = x.num_rows if isinstance(x, Graph) else x.shape[0]
    if rows != hypergraph.num_nodes:
        raise ValueError(f"{name}: expected a row of features a node, {hypergraph.num_nodes}, got {rows}")


def sides(hypergraph: Hypergraph, self_loops: bool = False) -> Sides:
    """The incidence without weights; with `self_loops` every node that is in no hyperedge of its own alone gets one,
    behind all others."""

    def make() -> Sides:
        incidence = hypergraph.incidence.with_weight(None)
        if self_loops:
            incidence = _looped(hypergraph, incidence)
        return Sides(incidence, incidence.transpose())

    return remembered(hypergraph, ("sides", self_loops), make)


def _looped(hypergraph: Hypergraph, incidence: Graph) -> Graph:
    alone = torch.zeros(hypergraph.num_nodes, dtype=torch.bool)
    single = hypergraph.indptr[:-1][hypergraph.indptr.diff() == 1]
    alone[hypergraph.indices[single].to(torch.int64)] = True
    added = (~alone).nonzero().flatten()
    pointers = torch.cat([incidence.indptr, incidence.num_edges + 1 + torch.arange(len(added))])
    indices = torch.cat([incidence.indices, added.to(incidence.indices.dtype)])
    return Graph.from_csr(pointers, indices, num_cols=incidence.num_cols)


def hyperedge_weights(hypergraph: Hypergraph, rows: int, dtype: torch.dtype) -> Tensor:
    """Weights (rows,) of the hyperedges: the hypergraph's own, and 1 for self-loops that were added behind them."""
    weight = torch.ones(rows, dtype=dtype)
    if hypergraph.weight is not None:
        weight[: hypergraph.num_hyperedges] = hypergraph.weight.detach().to(dtype)
    return weight


def weighted(over: Sides, to_hyperedges: Tensor, to_nodes: Tensor) -> Sides:
    """The same incidence with weights (E,), each in the CSR order of its own side."""
    return Sides(over.to_hyperedges.with_weight(to_hyperedges), over.to_nodes.with_weight(to_nodes))


def normalized(hypergraph: Hypergraph, how: Normalization, self_loops: bool, dtype: torch.dtype) -> Sides:
    """Sides whose product is the operator of HGNN, D_v^-1/2 H W D_e^-1 H^T D_v^-1/2 ("symmetric"; Y. Feng et al.,
    AAAI 2019, equation 10), or D_v^-1 H W D_e^-1 H^T ("row"; S. Bai, F. Zhang and P. Torr, 2021, equation 4).

    D_v: sums of the weights of a node's hyperedges, D_e: sizes. A node in no hyperedge gets zeros.
    """

    def make() -> Sides:
        over = sides(hypergraph, self_loops)
        first, second = over.to_hyperedges, over.to_nodes
        weight = hyperedge_weights(hypergraph, first.num_rows, dtype)
        degree = cast(Tensor, spmm(second, weight.view(-1, 1))).flatten()
        scale = torch.where(degree > 0, degree.pow(-0.5 if how == "symmetric" else -1.0), 0)
        share = weight / first.in_degrees().to(dtype)
        entering, nodes = share[first.edge_index[1]], first.indices.to(torch.int64)
        if how == "symmetric":
            entering = entering * scale[nodes]
        return weighted(over, entering, scale[second.edge_index[1]])

    return remembered(hypergraph, ("normalized", how, self_loops, dtype), make)


def averaged(hypergraph: Hypergraph, self_loops: bool, dtype: torch.dtype) -> Sides:
    """Sides whose product is that of UniGCN: d_v^-1/2 sum_e d_e^-1/2 mean_(u in e) x_u, with d_v the number of a node's
    hyperedges and d_e the mean of d_u over the nodes of e (J. Huang and J. Yang, IJCAI 2021, equation 6)."""

    def make() -> Sides:
        over = sides(hypergraph, self_loops)
        first, second = over.to_hyperedges, over.to_nodes
        degree = second.in_degrees().to(dtype)
        mean = cast(Tensor, spmm(first, degree.view(-1, 1), reduce="mean")).flatten()
        share = mean.pow(-0.5) / first.in_degrees().to(dtype)
        return weighted(over, share[first.edge_index[1]], degree.pow(-0.5)[second.edge_index[1]])

    return remembered(hypergraph, ("averaged", self_loops, dtype), make)
