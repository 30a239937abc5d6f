"""What the layers take as a graph, and the forms of it that they compute on, made once for each graph.

A layer takes a `moiety.graph.Graph`, PyG's ``edge_index`` (2, E) of whole numbers with the source of every edge in the
first row and its target in the second, or a ``torch.sparse`` matrix whose rows are the targets. Values a edge (weights,
features, types) come in the order in which the edges come: of a `Graph` that is its CSR order.

Conversions, self-loops and normalisations are remembered by the object they were made of, and forgotten with it. A
tensor that has been changed in place since, as its version counter tells, is converted again; a change that hides from
that counter (through a NumPy view) is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from moiety.graph import Graph
from moiety.graph.graph import Order
from moiety.ops import spmm
from moiety.ops.graph_spmm import Reduce

__all__ = [
    "Features",
    "Pair",
    "SelfLoops",
    "Structure",
    "as_graph",
    "at_sources",
    "at_targets",
    "by_index",
    "degree_normalized",
    "edge_values",
    "gcn_graph",
    "pair_of",
    "remembered",
    "self_loops",
    "to_targets",
    "unweighted",
]

Structure = Graph | Tensor
Features = Tensor | Graph  # (nodes, features), dense or sparse
Pair = Tensor | tuple[Tensor, Tensor | None]  # features of sources and targets; one tensor where they are the same

T = TypeVar("T")

_converted: Any = WeakIdKeyDictionary()  # tensor -> version and {key: Graph}


def remembered(graph: Graph, key: Hashable, make: Callable[[], T]) -> T:
    """`make()`, once for each graph and key."""
    known: dict[Hashable, Any] = graph.__dict__.setdefault("_forms", {})
    if key not in known:
        known[key] = make()
    return cast(T, known[key])


def pair_of(x: Pair) -> tuple[Tensor, Tensor | None]:
    return x if isinstance(x, tuple) else (x, x)


def as_graph(structure: Structure, sources: int, targets: int | None) -> Graph:
    """The graph with `targets` rows and `sources` columns; targets None: as many as the structure itself says.

    Raises ValueError where the structure is of another size, TypeError where it is none.
    """
    if isinstance(structure, Tensor):
        graph = _from_tensor(structure, sources, targets)
    elif isinstance(structure, Graph):
        graph = structure
    else:
        raise TypeError(
            f"expected a moiety.graph.Graph, an edge_index (2, E) or a torch.sparse matrix, got "
            f"{type(structure).__name__}"
        )
    if graph.num_cols != sources or targets not in (None, graph.num_rows):
        raise ValueError(
            f"expected a graph of {sources} sources (columns)"
            + (f" and {targets} targets (rows)" if targets is not None else "")
            + f", as many as there are rows of features, got {graph.num_cols} and {graph.num_rows}: give the features "
            "of all nodes, for a bipartite graph as a pair (sources, targets)"
        )
    return graph


def _from_tensor(structure: Tensor, sources: int, targets: int | None) -> Graph:
    def make() -> Graph:
        if structure.layout is not torch.strided:
            return Graph.from_torch(structure)
        return Graph.from_edge_index(structure, num_nodes=targets, num_sources=sources)

    if structure.requires_grad:  # values that carry gradients
        return make()
    return _remembered_with(structure, (sources, targets), make)


def _remembered_with(owner: Tensor, key: Hashable, make: Callable[[], Graph]) -> Graph:
    """`make()`, once for each version of the tensor and key."""
    if owner.is_inference():  # has no versions
        return make()
    version, known = _converted.get(owner, (None, {}))
    if version != owner._version:
        known = {}
        _converted[owner] = owner._version, known
    if key not in known:
        known[key] = make()
    return cast(Graph, known[key])


def by_index(index: Tensor, size: int) -> Graph:
    """The graph of `size` rows in which row index[e] is entered by an edge from e alone, for every e: a product with it
    adds up values by index. Remembered with the tensor that `index` is a view of."""
    owner = index._base if index._base is not None else index

    def make() -> Graph:
        places = torch.stack([torch.arange(len(index)), index])
        return Graph.from_edge_index(places, num_nodes=size, num_sources=len(index))

    return _remembered_with(owner, (index.storage_offset(), index.stride(0), len(index), size), make)


def edge_values(structure: Structure, graph: Graph, values: Tensor | None) -> Tensor | None:
    """`values` (E, ...), given in the order of the structure's edges, in the CSR order of its graph."""
    if values is None:
        return None
    if len(values) != graph.num_edges:
        raise ValueError(f"expected a value for each of {graph.num_edges} edges, got {tuple(values.shape)}")
    return values if isinstance(structure, Graph) else graph.to_csr_order(values)


def unweighted(graph: Graph) -> Graph:
    """The same edges, each of weight one."""
    return graph if graph.weight is None else remembered(graph, "unweighted", lambda: graph.with_weight(None))


def at_sources(graph: Graph, x: Tensor) -> Tensor:
    """x (sources, ...) at the source of every edge (E, ...). As a product, whose gradient is one as well."""

    def make() -> Graph:
        return Graph.from_csr(torch.arange(graph.num_edges + 1), graph.indices, num_cols=graph.num_cols)

    return cast(Tensor, spmm(remembered(graph, "at_sources", make), x))


def at_targets(graph: Graph, x: Tensor) -> Tensor:
    """x (targets, ...) at the target of every edge (E, ...)."""

    def make() -> Graph:
        return Graph.from_csr(torch.arange(graph.num_edges + 1), graph.edge_index[1], num_cols=graph.num_rows)

    return cast(Tensor, spmm(remembered(graph, "at_targets", make), x))


def to_targets(graph: Graph, values: Tensor, reduce: Reduce = "sum") -> Tensor:
    """Values of edges (E, ...) reduced over those that enter every target (targets, ...); 0 where there are none."""

    def make() -> Graph:
        return Graph.from_csr(graph.indptr, torch.arange(graph.num_edges), num_cols=graph.num_edges)

    return cast(Tensor, spmm(remembered(graph, "to_targets", make), values, reduce=reduce))


@dataclass(frozen=True)
class SelfLoops:
    """A graph with exactly one loop at each of its first `count` nodes, and where its edges come from.

    Everything in CSR order: `kept` and `loops` are positions in the graph given, `nodes` are those of `loops`.
    """

    graph: Graph
    count: int
    kept: Tensor  # edges that are no loops
    loops: Tensor
    nodes: Tensor

    def values(self, given: Tensor, of_loops: Tensor) -> Tensor:
        """Values a edge of `graph`: those `given` to the edges that are no loops, and `of_loops` (count, ...)."""
        return self.graph.to_csr_order(torch.cat([given.index_select(0, self.kept), of_loops]))

    def remaining(self, given: Tensor, fill: float) -> Tensor:
        """The same, where loops that were there keep what was given to them and the others get `fill`."""
        of_loops = given.new_full((self.count, *given.shape[1:]), fill)
        return self.values(given, of_loops.index_put((self.nodes,), given.index_select(0, self.loops)))


def self_loops(graph: Graph) -> SelfLoops:
    """`graph` with one loop at every node that is both a row and a column, whatever loops it had; no weights."""
    return remembered(graph, "self_loops", lambda: _self_loops(graph))


def _self_loops(graph: Graph) -> SelfLoops:
    edges = graph.edge_index
    is_loop = edges[0] == edges[1]
    kept, loops = (~is_loop).nonzero().flatten(), is_loop.nonzero().flatten()
    count = min(graph.num_rows, graph.num_cols)
    added = torch.arange(count, dtype=edges.dtype)
    both = torch.cat([edges.index_select(1, kept), added.expand(2, -1)], 1)
    order = cast("Order | None", graph.order)
    looped = Graph.from_edge_index(both, num_nodes=graph.num_rows, num_sources=graph.num_cols, order=order)
    return SelfLoops(looped, count, kept, loops, edges[0].index_select(0, loops))


def gcn_graph(
    graph: Graph, weight: Tensor | None, dtype: torch.dtype, *, improved: bool = False, loops: bool = True
) -> tuple[Graph, Tensor | None]:
    """A graph and weights for `spmm` that are D^-1/2 (A + I) D^-1/2, D the row sums of A + I (Kipf and Welling, 2017).

    A loop that is there keeps its weight, the others get 1, or 2 if `improved`; without `loops` none is added. Weights:
    `weight` (E,), else the graph's own, else ones. The second result is None where the graph holds them itself.
    """
    if graph.num_rows != graph.num_cols:
        raise ValueError(
            f"expected a square graph, got {graph.num_rows} rows and {graph.num_cols} columns: a symmetric "
            "normalisation needs the degrees of the same nodes on both sides; take SAGEConv for bipartite graphs"
        )
    if weight is None and loops and not improved and dtype is (torch.float32 if graph.weight is None else dtype):
        return graph.gcn_normalized(), None
    given = graph.weight if weight is None else weight

    def normalized() -> tuple[Graph, Tensor]:
        values = given if given is not None else torch.ones(graph.num_edges, dtype=dtype)
        if values.shape != (graph.num_edges,):
            raise ValueError(f"expected weights ({graph.num_edges},), one an edge, got {tuple(values.shape)}")
        values = values.to(dtype)
        if not loops:
            return unweighted(graph), degree_normalized(graph, values)
        looped = self_loops(graph)
        return looped.graph, degree_normalized(looped.graph, looped.remaining(values, 2.0 if improved else 1.0))

    if weight is not None or (given is not None and given.requires_grad):
        return normalized()

    def weighted() -> Graph:
        base, values = normalized()
        return base.with_weight(values)

    return remembered(graph, ("gcn", dtype, improved, loops), weighted), None


def degree_normalized(graph: Graph, weight: Tensor) -> Tensor:
    """d_i^-1/2 w_ij d_j^-1/2 of weights (E,), d the row sums; 0 where a degree is 0."""
    degree = cast(Tensor, spmm(graph, weight.new_ones(graph.num_cols, 1), weight)).flatten()
    scale = degree.pow(-0.5)
    scale = scale.masked_fill(scale.isinf(), 0.0)
    sources, targets = graph.edge_index
    return scale.index_select(0, targets) * weight * scale.index_select(0, sources)
