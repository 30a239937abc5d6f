"""The forms of a hypergraph that layers compute on, made once for each hypergraph and remembered with it.

Everything here is two products in turn: from nodes to hyperedges and back, over the incidence and its transpose. A
hypergraph's expansion, in which a hyperedge of k nodes has k^2 entries, is never built.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from moiety.graph import Graph, Hypergraph
from moiety.nn.graph.structure import Features
from moiety.ops import spmm

__all__ = ["Sides", "averaged", "check_nodes", "looped", "remembered", "row_normalized", "sides"]

T = TypeVar("T")


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


def looped(hypergraph: Hypergraph) -> Hypergraph:
    """The hypergraph in which every node that is in no hyperedge of its own alone has one, behind all others, with
    weight 1."""

    def make() -> Hypergraph:
        alone = torch.zeros(hypergraph.num_nodes, dtype=torch.bool)
        single = hypergraph.indptr[:-1][hypergraph.sizes() == 1]
        alone[hypergraph.indices[single].to(torch.int64)] = True
        added = (~alone).nonzero().flatten()
        pointers = torch.cat([hypergraph.indptr, hypergraph.num_incidences + 1 + torch.arange(len(added))])
        indices = torch.cat([hypergraph.indices, added.to(hypergraph.indices.dtype)])
        weight = hypergraph.weight
        if weight is not None:
            weight = torch.cat([weight, weight.new_ones(len(added))])
        return Hypergraph(pointers, indices, hypergraph.num_nodes, weight)

    return remembered(hypergraph, "looped", make)


def sides(hypergraph: Hypergraph) -> Sides:
    """The incidence without weights."""
    return Sides(hypergraph.incidence, hypergraph.incidence.transpose())


def weighted(over: Sides, to_hyperedges: Tensor, to_nodes: Tensor) -> Sides:
    """The same incidence with weights (E,), each in the CSR order of its own side."""
    return Sides(over.to_hyperedges.with_weight(to_hyperedges), over.to_nodes.with_weight(to_nodes))


def row_normalized(hypergraph: Hypergraph, dtype: torch.dtype) -> Sides:
    """Sides whose product is D_v^-1 H W D_e^-1 H^T, D_v the sums of the weights of a node's hyperedges, D_e the sizes
    (S. Bai, F. Zhang and P. Torr, Hypergraph Convolution and Hypergraph Attention, 2021). A node in no
    hyperedge gets zeros."""

    def make() -> Sides:
        over = sides(hypergraph)
        sizes = hypergraph.sizes().to(dtype)
        weight = torch.ones_like(sizes) if hypergraph.weight is None else hypergraph.weight.to(dtype)
        degree = cast(Tensor, spmm(over.to_nodes, weight.view(-1, 1))).flatten()
        share, scale = weight / sizes, torch.where(degree > 0, degree.reciprocal(), 0)
        return weighted(over, share[over.to_hyperedges.edge_index[1]], scale[over.to_nodes.edge_index[1]])

    return remembered(hypergraph, ("row", dtype), make)


def averaged(hypergraph: Hypergraph, dtype: torch.dtype) -> Sides:
    """Sides whose product is that of UniGCN: d_v^-1/2 sum_e d_e^-1/2 mean_(u in e) x_u, with d_v the number of a node's
    hyperedges and d_e the mean of d_u over the nodes of e (J. Huang and J. Yang, IJCAI 2021)."""

    def make() -> Sides:
        over = sides(hypergraph)
        degree, sizes = hypergraph.degrees().to(dtype), hypergraph.sizes().to(dtype)
        mean = cast(Tensor, spmm(over.to_hyperedges, degree.view(-1, 1), reduce="mean")).flatten()
        share, scale = mean.rsqrt() / sizes, degree.rsqrt()  # a node of degree 0 is in no edge that its scale goes to
        return weighted(over, share[over.to_hyperedges.edge_index[1]], scale[over.to_nodes.edge_index[1]])

    return remembered(hypergraph, ("averaged", dtype), make)
