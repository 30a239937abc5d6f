"""What `Hypergraph` is made from: every form becomes compressed rows of hyperedges, a number of nodes and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moiety.graph import build
from moiety.graph.structure import NARROW, Structure

__all__ = [
    "Parts",
    "from_dhg",
    "from_dict",
    "from_hypernetx",
    "from_incidence",
    "from_lists",
    "from_toponetx",
    "from_xgi",
]

Parts = tuple[Tensor, Tensor, int, Tensor | None]  # indptr, indices, num_nodes and weight, as Hypergraph() takes them


def from_incidence(matrix: Any, weight: Any) -> Parts:
    """`Hypergraph.from_incidence`."""
    if isinstance(matrix, np.ndarray):
        matrix = torch.from_numpy(matrix)
    if hasattr(matrix, "tocoo"):
        coo = matrix.tocoo()
        node, hyperedge, value = (torch.from_numpy(np.array(v)) for v in (coo.row, coo.col, coo.data))
        nodes, hyperedges = coo.shape
    elif isinstance(matrix, Tensor) and matrix.ndim == 2:
        build._on_cpu("incidence matrix", matrix)
        nodes, hyperedges = matrix.shape
        if matrix.layout is torch.strided:
            node, hyperedge = matrix.nonzero().unbind(1)
            value = matrix[node, hyperedge]
        else:
            coo = matrix.to_sparse_coo()  # type: ignore[no-untyped-call]  # uncoalesced: what stands twice is refused, not added up
            node, hyperedge = coo._indices()
            value = coo._values()
    else:
        raise TypeError(
            "hypergraph: expected a SciPy sparse matrix, an array or a tensor (num_nodes, num_hyperedges), got "
            f"{type(matrix).__name__}{f' {tuple(matrix.shape)}' if isinstance(matrix, Tensor) else ''}"
        )
    there = value != 0
    # A stable sort by hyperedge of what is sorted by node: nodes ascend within a hyperedge.
    structure, _ = Structure.from_edges(hyperedge[there], node[there], hyperedges, nodes)
    return structure.indptr, structure.indices, nodes, _weight(weight, hyperedges)


def from_lists(num_nodes: int, hyperedges: Iterable[Iterable[int]], weight: Any) -> Parts:
    """`Hypergraph.from_lists`."""
    lists: list[Sequence[int]] = [
        members.tolist() if isinstance(members, Tensor) else list(members) for members in hyperedges
    ]
    indptr = torch.from_numpy(np.cumsum([0, *map(len, lists)], dtype=np.int64))
    try:
        flat = np.fromiter(chain.from_iterable(lists), np.int64, int(indptr[-1]))
    except (TypeError, ValueError) as error:
        raise TypeError(f"hypergraph: expected hyperedges of node numbers: {error}") from None
    return indptr, _nodes(torch.from_numpy(flat), num_nodes), num_nodes, _weight(weight, len(lists))


def from_dict(num_nodes: int, hyperedges: Mapping[Any, Iterable[int]], weight: Any) -> Parts:
    """`Hypergraph.from_dict`."""
    if isinstance(weight, Mapping):
        if missing := [key for key in hyperedges if key not in weight]:
            raise ValueError(f"hypergraph: expected a weight of every hyperedge, got none of {missing[0]!r}")
        weight = [weight[key] for key in hyperedges]
    return from_lists(num_nodes, hyperedges.values(), weight)


# --- other libraries --------------------------------------------------------------------------------------------------


def from_dhg(hypergraph: Any) -> Parts:
    """`Hypergraph.from_dhg`."""
    if not hasattr(hypergraph, "num_v") or not hasattr(hypergraph, "e"):
        raise TypeError(f"hypergraph: expected a dhg.Hypergraph, got {type(hypergraph).__name__}")
    lists, weight = hypergraph.e
    return from_lists(hypergraph.num_v, lists, weight)


def from_xgi(hypergraph: Any) -> Parts:
    """`Hypergraph.from_xgi`."""
    if not hasattr(hypergraph, "edges") or not hasattr(hypergraph.edges, "members"):
        raise TypeError(f"hypergraph: expected an xgi.Hypergraph, got {type(hypergraph).__name__}")
    return _numbered(hypergraph.nodes, hypergraph.edges.members())


def from_toponetx(domain: Any) -> Parts:
    """`Hypergraph.from_toponetx`."""
    if not hasattr(domain, "nodes") or not hasattr(domain, "cells"):
        raise TypeError(
            f"hypergraph: expected a toponetx CombinatorialComplex or ColoredHyperGraph, got {type(domain).__name__}"
        )
    nodes = [_only(node) for node in domain.nodes]
    cells = [list(_elements(cell)) for cell in domain.cells]
    return _numbered(nodes, [cell for cell in cells if len(cell) > 1])


def from_hypernetx(hypergraph: Any) -> Parts:
    """`Hypergraph.from_hypernetx`."""
    if not hasattr(hypergraph, "incidence_dict"):
        raise TypeError(f"hypergraph: expected a hypernetx.Hypergraph, got {type(hypergraph).__name__}")
    return _numbered(hypergraph.nodes, hypergraph.incidence_dict.values())


def _elements(cell: Any) -> Any:
    return cell.elements if hasattr(cell, "elements") else cell[0] if isinstance(cell, tuple) else cell


def _only(node: Any) -> Any:
    """The name of a node, which some libraries keep as a set of one."""
    return next(iter(node)) if isinstance(node, frozenset) and len(node) == 1 else node


def _numbered(nodes: Iterable[Any], hyperedges: Iterable[Iterable[Any]]) -> Parts:
    """Nodes of any name numbered in their order; those of a hyperedge ascend, since sets have no order."""
    number = {node: k for k, node in enumerate(nodes)}
    return from_lists(len(number), [sorted(number[node] for node in members) for members in hyperedges], None)


# --- checks -----------------------------------------------------------------------------------------------------------


def _nodes(nodes: Tensor, num_nodes: int) -> Tensor:
    """Nodes as int32, refused before they lose their upper half."""
    if num_nodes < 0 or num_nodes >= NARROW:
        raise ValueError(f"hypergraph: expected a number of nodes in [0, 2^31 - 1), got {num_nodes}")
    outside = (nodes < 0) | (nodes >= num_nodes)
    if bool(outside.any()):
        where = int(outside.nonzero()[0])
        raise ValueError(
            f"hypergraph: expected nodes in [0, {num_nodes}), got {int(nodes[where])} at incidence {where}"
        )
    return nodes.to(torch.int32)


def _weight(weight: Any, hyperedges: int) -> Tensor | None:
    if weight is None:
        return None
    found = torch.as_tensor(weight)
    if found.shape != (hyperedges,):
        raise ValueError(f"hypergraph: expected one weight a hyperedge ({hyperedges},), got {tuple(found.shape)}")
    return found.detach()
