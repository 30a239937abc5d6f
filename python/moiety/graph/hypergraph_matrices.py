"""The kernels of csrc/hypergraph on tensors: pairs of a signal, and matrices as graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from moiety._core import hypergraph as _core
from moiety.graph.graph import Graph
from moiety.graph.structure import Structure

if TYPE_CHECKING:
    from moiety.graph.hypergraph import Hypergraph

__all__ = [
    "Pairs",
    "Projection",
    "Search",
    "Weighting",
    "check_pairs",
    "expand",
    "find_pairs",
    "hgnn_factors",
    "laplacian",
    "search_pairs",
    "signal_dtype",
    "uses_code",
]

Weighting = Literal["paper", "code"]
Search = Literal["projection", "exact"]
Pairs = tuple[Tensor, Tensor]
Projection = Tensor | int | None

_BY_PROJECTION = {torch.float32: _core.pairs_by_projection_f32, torch.float64: _core.pairs_by_projection_f64}
_EXACT = {torch.float32: _core.pairs_exact_f32, torch.float64: _core.pairs_exact_f64}
_LAPLACIAN = {torch.float32: _core.laplacian_f32, torch.float64: _core.laplacian_f64}
_CLIQUE = {torch.float32: _core.clique_f32, torch.float64: _core.clique_f64}


def uses_code(weighting: Weighting) -> bool:
    """Whether hyperedges are weighted as in the reference code."""
    if weighting not in ("paper", "code"):
        raise ValueError(f"hypergraph: expected weighting 'paper' or 'code', got {weighting!r}")
    return weighting == "code"


def signal_dtype(signal: Tensor) -> torch.dtype:
    """float32 or float64, what a Laplacian of the signal has."""
    return torch.float64 if signal.dtype is torch.float64 else torch.float32


def check_pairs(hypergraph: Hypergraph, s: Tensor, i: Tensor) -> None:
    """Shapes, type and place of pairs; kernels look at the nodes."""
    for name, value in (("s", s), ("i", i)):
        if value.dtype is not torch.int32 or value.shape != (hypergraph.num_hyperedges,):
            raise ValueError(
                f"hypergraph: expected {name} int32 ({hypergraph.num_hyperedges},), a node a hyperedge, got "
                f"{value.dtype} {tuple(value.shape)}"
            )
        if value.device.type != "cpu":
            raise ValueError(f"hypergraph: expected {name} on the CPU, got {value.device}: call .cpu() first")


def _direction(projection: Projection, width: int) -> Tensor:
    if isinstance(projection, Tensor):
        if projection.shape != (width,) or not projection.is_floating_point():
            raise ValueError(
                f"hypergraph: expected a projection of floats ({width},), a number a column of the signal, got "
                f"{projection.dtype} {tuple(projection.shape)}"
            )
        return projection.detach().to(torch.float64).contiguous()
    generator = None if projection is None else torch.Generator().manual_seed(projection)
    return torch.rand(width, dtype=torch.float64, generator=generator)


def find_pairs(hypergraph: Hypergraph, signal: Tensor, search: Search, projection: Projection) -> Pairs:
    """`Hypergraph.pairs`."""
    if search not in ("projection", "exact"):
        raise ValueError(f"hypergraph: expected pairs 'projection' or 'exact', got {search!r}")
    if signal.ndim != 2 or signal.shape[0] != hypergraph.num_nodes or not signal.is_floating_point():
        raise ValueError(
            f"hypergraph: expected a signal of floats ({hypergraph.num_nodes}, h), a row a node, got "
            f"{signal.dtype} {tuple(signal.shape)}"
        )
    if signal.device.type != "cpu":
        raise ValueError(f"hypergraph: expected the signal on the CPU, got {signal.device}: call .cpu() first")
    if search == "exact" and projection is not None:
        raise ValueError("hypergraph: exact pairs need no projection: expected None")
    values = signal.detach().to(signal_dtype(signal)).contiguous()
    direction = None if search == "exact" else _direction(projection, values.shape[1])
    from moiety.ops.hypergraph_pairs import traced_pairs

    traced = traced_pairs(hypergraph, values, direction)
    return (
        traced if traced is not None else search_pairs(hypergraph.native, hypergraph.num_hyperedges, values, direction)
    )


def search_pairs(native: _core.Hypergraph, hyperedges: int, values: Tensor, direction: Tensor | None) -> Pairs:
    """The kernel on plain tensors that fit each other; `direction` (h,), float64, or None for exact pairs."""
    from moiety.ops import memory

    s, i = (memory.empty((hyperedges,), torch.int32) for _ in range(2))
    found = s.data_ptr(), i.data_ptr(), torch.get_num_threads()
    if direction is None:
        _EXACT[values.dtype](native, values.data_ptr(), values.shape[1], *found)
    else:
        _BY_PROJECTION[values.dtype](native, values.data_ptr(), values.shape[1], direction.data_ptr(), *found)
    return s, i


def laplacian(
    hypergraph: Hypergraph,
    s: Tensor,
    i: Tensor,
    mediators: bool,
    weighting: Weighting,
    dtype: torch.dtype,
    known: bool = False,
) -> Graph:
    """`Hypergraph.laplacian_from_pairs`. `known`: `find_pairs` has just found the pairs, and nobody looks."""
    code = uses_code(weighting)
    check_pairs(hypergraph, s, i)
    s, i = s.contiguous(), i.contiguous()
    indptr, column, value = _empty(hypergraph.num_nodes, hypergraph.native.laplacian_capacity(mediators), dtype)
    entries = _LAPLACIAN[dtype](
        hypergraph.native,
        mediators,
        code,
        s.data_ptr(),
        i.data_ptr(),
        known,
        indptr.data_ptr(),
        column.data_ptr(),
        value.data_ptr(),
        torch.get_num_threads(),
    )
    return Graph(Structure(indptr, column[:entries], hypergraph.num_nodes, known=True), value[:entries], known=True)


def expand(hypergraph: Hypergraph, kind: str, dtype: torch.dtype) -> Graph:
    """`Hypergraph.expand`."""
    if kind not in ("clique", "star", "hgnn"):
        raise ValueError(f"hypergraph: expected an expansion 'clique', 'star' or 'hgnn', got {kind!r}")
    if kind == "star":
        return _star(hypergraph, dtype)
    indptr, column, value = _empty(hypergraph.num_nodes, hypergraph.native.clique_capacity(), dtype)
    entries = _CLIQUE[dtype](
        hypergraph.native,
        kind == "hgnn",
        indptr.data_ptr(),
        column.data_ptr(),
        value.data_ptr(),
        torch.get_num_threads(),
    )
    # Overlapping hyperedges leave much of the space unused.
    return Graph(Structure(indptr, column[:entries].clone(), hypergraph.num_nodes, known=True), value[:entries].clone())


def hgnn_factors(hypergraph: Hypergraph, dtype: torch.dtype) -> tuple[Graph, Graph]:
    """W D_e^-1 H^T D_v^-1/2 (num_hyperedges, num_nodes) and D_v^-1/2 H (num_nodes, num_hyperedges)."""
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"hypergraph: expected float32 or float64, got {dtype}")
    incidence = hypergraph.incidence
    own = torch.ones(hypergraph.num_hyperedges) if hypergraph.weight is None else hypergraph.weight
    own = own.to(torch.float64)
    hyperedge = incidence.structure.rows
    degree = torch.zeros(hypergraph.num_nodes, dtype=torch.float64)
    degree.index_add_(0, hypergraph.indices.long(), own[hyperedge])
    scale = torch.where(degree > 0, degree.rsqrt(), 0)
    gathered = (own / hypergraph.sizes())[hyperedge] * scale[hypergraph.indices]
    turned = incidence.transpose()
    return incidence.with_weight(gathered.to(dtype)), turned.with_weight(scale[turned.structure.rows].to(dtype))


def _star(hypergraph: Hypergraph, dtype: torch.dtype) -> Graph:
    node, hyperedge = hypergraph.incidence.edge_index
    hyperedge = hyperedge + hypergraph.num_nodes
    both = torch.stack([torch.cat([node, hyperedge]), torch.cat([hyperedge, node])])
    own = torch.ones(hypergraph.num_hyperedges, dtype=dtype) if hypergraph.weight is None else hypergraph.weight
    weight = own.to(dtype)[hypergraph.incidence.structure.rows].repeat(2)
    return Graph.from_edge_index(both, hypergraph.num_nodes + hypergraph.num_hyperedges, weight)


def _empty(rows: int, entries: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Compressed rows to be filled."""
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"hypergraph: expected weights of float32 or float64, got {dtype}")
    from moiety.ops import memory

    return (
        torch.empty(rows + 1, dtype=torch.int64),
        memory.empty((entries,), torch.int32),
        memory.empty((entries,), dtype),
    )
