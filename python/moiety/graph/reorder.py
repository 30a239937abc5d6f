"""Orders of nodes that bring neighbours together in memory, after csrc/graph/reorder.hpp.

An order lists the old numbers in their new sequence: features in it are ``x[order]``, and ``inverse(order)[v]`` is the
new number of node v.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moiety._core import graph_sampling as _core
from moiety.graph.graph import Graph

__all__ = ["degree_order", "inverse", "rcm_order"]


def degree_order(graph: Graph) -> Tensor:
    """Targets by falling number of incoming edges, equal ones in their old order: int64 (num_rows,)."""
    return torch.from_numpy(_core.degree_order(graph.indptr.numpy(), graph.indices.numpy(), graph.num_cols))


def rcm_order(graph: Graph) -> Tensor:
    """Reverse Cuthill-McKee of the square graph without its directions: int64 (num_nodes,).

    Makes the bandwidth small, the largest |i - j| over edges of the reordered graph, where the graph allows it: meshes
    and roads, not social networks. Cuthill, McKee (1969); George, Liu (1981) for where to start.
    """
    return torch.from_numpy(_core.rcm_order(graph.indptr.numpy(), graph.indices.numpy(), graph.num_cols))


def inverse(order: Tensor) -> Tensor:
    """The permutation that undoes `order` (n,)."""
    back = torch.empty_like(order)
    back[order] = torch.arange(order.numel())
    return back
