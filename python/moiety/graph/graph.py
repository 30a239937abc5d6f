"""`Graph`: a sparse matrix A whose rows are targets and whose columns are sources; y_i = sum_j A_ij x_j.

Edges are kept by target ("CSR order"), and by source as well once something asks for it. Every per-edge tensor that a
function of this package takes or gives is in CSR order, the order of `Graph.edge_index`; `Graph.to_csr_order` brings
values there that are in the order in which the edges were given.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor

from moiety.graph import build, files
from moiety.graph.structure import Structure

__all__ = ["Graph", "Order"]

Order = Literal["degree", "rcm"]


class Graph:
    """A directed graph, possibly bipartite, with or without one weight an edge; immutable.

    Made by the `from_...` functions. Duplicate edges, empty rows and isolated nodes are welcome. Attributes:

    - ``indptr`` int64 (num_rows + 1,), ``indices`` int32, or int64 from 2^31 nodes on (num_edges,): the edges that
      enter node i come from ``indices[indptr[i]:indptr[i + 1]]``.
    - ``weight``: a tensor (num_edges,) in CSR order, or None for ones.
    - ``edge_order``: (num_edges,), the position in the input of every edge, None where it is the position here.
    - ``num_rows``, ``num_cols``, ``num_edges``.

    ``order`` ("degree" or "rcm") has kernels keep sources that are used together close in memory. Nothing else changes:
    features and results stay in the caller's numbering.
    """

    def __init__(
        self,
        structure: Structure,
        weight: Tensor | None = None,
        edge_order: Tensor | None = None,
        known: bool = False,
    ) -> None:
        """Of a checked structure; `from_csr` and its like check what they are given.

        `known`: the weights are numbers, one an edge, since a kernel of ours has just written them.
        """
        self.structure = structure
        self.indptr, self.indices = structure.indptr, structure.indices
        self.num_rows, self.num_cols, self.num_edges = structure.num_rows, structure.num_cols, structure.num_edges
        self.weight = weight if known else _checked_weight(weight, self.num_edges)
        self.edge_order = edge_order
        self._transposed: Graph | None = None
        self._normalized: Graph | None = None
        self._weights: dict[torch.dtype, Tensor] = {}
        self._turned: dict[tuple[torch.dtype, bool], Tensor] = {}

    # --- building -----------------------------------------------------------------------------------------------------

    @classmethod
    def from_csr(
        cls, indptr: Any, indices: Any, weight: Any = None, num_cols: int | None = None, order: Order | None = None
    ) -> Graph:
        """From compressed rows, edges left in their order; tensors, arrays or sequences of integers.

        `num_cols` defaults to the number of rows. int32 pointers are taken to int64.
        """
        return cls(*build.from_csr(indptr, indices, weight, num_cols, order))

    @classmethod
    def from_scipy(cls, matrix: Any, order: Order | None = None) -> Graph:
        """From any SciPy sparse matrix or array; its values become weights: ``spmm(g, x)`` is ``matrix @ x``.

        Duplicate entries of a CSR matrix stay apart, which changes no sum.
        """
        return cls(*build.from_scipy(matrix, order))

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        num_nodes: int | None = None,
        weight: Tensor | None = None,
        num_sources: int | None = None,
        order: Order | None = None,
    ) -> Graph:
        """From PyG's layout: edge e leads from node ``edge_index[0, e]`` to node ``edge_index[1, e]``.

        `num_nodes` defaults to one more than the largest number; with `num_sources` the graph is bipartite, of
        `num_nodes` targets. `weight` (num_edges,) is in the order of `edge_index`.
        """
        return cls(*build.from_edge_index(edge_index, num_nodes, weight, num_sources, order))

    @classmethod
    def from_torch(cls, matrix: Tensor, order: Order | None = None) -> Graph:
        """From a sparse CSR, CSC or COO tensor; its values become weights: ``spmm(g, x)`` is ``matrix @ x``."""
        return cls(*build.from_torch(matrix, order))

    @classmethod
    def from_pyg(cls, data: Any, order: Order | None = None) -> Graph:
        """From a torch_geometric `Data`: its edge_index, num_nodes and, where there is one, edge_weight."""
        return cls(*build.from_pyg(data, order))

    @classmethod
    def from_dgl(cls, graph: Any, weight: str | None = None, order: Order | None = None) -> Graph:
        """From a homogeneous DGL graph or a block; `weight` names a feature (num_edges,) of its edges."""
        return cls(*build.from_dgl(graph, weight, order))

    # --- views --------------------------------------------------------------------------------------------------------

    @property
    def num_nodes(self) -> int:
        """The number of nodes; a bipartite graph has no such number."""
        if self.num_rows != self.num_cols:
            raise ValueError(
                f"num_nodes: expected a square graph, got {self.num_rows} targets, {self.num_cols} sources"
            )
        return self.num_rows

    @property
    def order(self) -> str | None:
        """The order in which kernels keep sources: "degree", "rcm" or None."""
        return self.structure.order

    @property
    def edge_index(self) -> Tensor:
        """Sources and targets (2, num_edges), int64, in CSR order."""
        return torch.stack([self.indices.to(torch.int64), self.structure.rows])

    @property
    def csc(self) -> tuple[Tensor, Tensor, Tensor]:
        """Edges by source, made once: pointers (num_cols + 1,), targets (num_edges,), positions in CSR (num_edges,)."""
        other, position = self.structure.transposed
        return other.indptr, other.indices, position

    def in_degrees(self) -> Tensor:
        """Edges that enter every target (num_rows,), int64, without weights."""
        return self.structure.degrees

    def out_degrees(self) -> Tensor:
        """Edges that leave every source (num_cols,), int64, without weights."""
        return self.structure.transposed[0].degrees

    def to_csr_order(self, values: Tensor) -> Tensor:
        """Per-edge values (num_edges, ...) from the order in which edges were given into CSR order."""
        if values.shape[:1] != (self.num_edges,):
            raise ValueError(f"to_csr_order: expected ({self.num_edges}, ...), got {tuple(values.shape)}")
        return values if self.edge_order is None else values[self.edge_order]

    def weight_as(self, dtype: torch.dtype) -> Tensor | None:
        """`weight` in another dtype; the result is kept, unless the weight is being differentiated."""
        if self.weight is None or self.weight.dtype is dtype:
            return self.weight
        if self.weight.requires_grad:
            return self.weight.to(dtype)
        if dtype not in self._weights:
            self._weights[dtype] = self.weight.to(dtype)
        return self._weights[dtype]

    def turned_weight(self, dtype: torch.dtype, mean: bool) -> Tensor:
        """The weights, divided by the rows' degrees for a mean, in the order of edges by source; kept."""
        if (dtype, mean) not in self._turned:
            weight = self.weight_as(dtype)
            if mean:
                share = self.structure.shares.to(dtype)
                weight = share if weight is None else weight * share
            assert weight is not None
            self._turned[dtype, mean] = weight.detach()[self.structure.transposed[1]]
        return self._turned[dtype, mean]

    def transpose(self) -> Graph:
        """Every edge turned round; made once, and its transpose is this graph."""
        if self._transposed is None:
            structure, position = self.structure.transposed
            weight = None if self.weight is None else self.weight[position]
            other = Graph(structure, weight, position if self.edge_order is None else self.edge_order[position])
            if weight is not None and weight.requires_grad:
                return other  # belongs to one backward pass
            other._transposed = self
            self._transposed = other
        return self._transposed

    # --- derived graphs -----------------------------------------------------------------------------------------------

    def with_weight(self, weight: Tensor | None) -> Graph:
        """The same edges with other weights (num_edges,) in CSR order; the structure is shared."""
        return Graph(self.structure, weight, self.edge_order)

    def add_self_loops(self, fill: float = 1.0) -> Graph:
        """With exactly one loop on every node; a node's own one keeps its weight (the last of several), as in PyG.

        The new graph's edge_order counts the edges of this one without loops, then one loop a node.
        """
        nodes = self.num_nodes
        edge_index, weight = self.edge_index, self.weight
        loop = edge_index[0] == edge_index[1]
        every = torch.arange(nodes)
        if weight is not None:
            own = torch.full((nodes,), fill, dtype=weight.dtype)
            if bool(loop.any()):
                position = torch.full((nodes,), -1).scatter_reduce(
                    0, edge_index[0, loop], loop.nonzero().squeeze(1), "amax"
                )
                own = torch.where(position >= 0, weight[position.clamp(min=0)], own)
            weight = torch.cat([weight[~loop], own])
        edges = torch.cat([edge_index[:, ~loop], every.expand(2, -1)], dim=1)
        return Graph(*build.from_edge_index(edges, nodes, weight, None, self._order))

    def gcn_normalized(self) -> Graph:
        """D^-1/2 (A + I) D^-1/2 of Kipf and Welling (arXiv 1609.02907), D the weighted in-degrees of A + I; kept.

        Weights are float32 where this graph has none. A node of no positive degree gives and gets zero.
        """
        if self._normalized is None:
            looped = self.add_self_loops()
            weight = torch.ones(looped.num_edges) if looped.weight is None else looped.weight
            rows = looped.structure.rows
            degree = torch.zeros(looped.num_rows, dtype=weight.dtype).index_add(0, rows, weight)
            scale = torch.where(degree > 0, degree.clamp(min=torch.finfo(degree.dtype).tiny).rsqrt(), 0)
            normalized = looped.with_weight(scale[rows] * weight * scale[looped.indices])
            if weight.requires_grad:
                return normalized
            self._normalized = normalized
        return self._normalized

    def subgraph(self, nodes: Tensor) -> Graph:
        """The graph among `nodes` (n,), different from each other; node k of it is ``nodes[k]`` of this one.

        Its edge_order holds CSR positions of this graph.
        """
        return Graph(*build.subgraph(self.structure, self.num_nodes, self.weight, nodes, self._order))

    # --- files --------------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write one safetensors file, which `load` maps into memory."""
        files.save(path, self.structure, self.weight, self.edge_order)

    @classmethod
    def load(cls, path: str | PathLike[str], mmap: bool = True) -> Graph:
        """Read what `save` wrote; with `mmap` pages come from the file when they are first used."""
        return cls(*files.load(path, mmap))

    @property
    def _order(self) -> Order | None:
        return self.structure.order  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.structure, self.weight, self.edge_order)

    def __repr__(self) -> str:
        weighted = "" if self.weight is None else f", weight={str(self.weight.dtype).removeprefix('torch.')}"
        ordered = "" if self.order is None else f", order={self.order!r}"
        return f"Graph({self.num_rows}x{self.num_cols}, edges={self.num_edges}{weighted}{ordered})"


def _checked_weight(weight: Tensor | None, edges: int) -> Tensor | None:
    if weight is None:
        return None
    if weight.shape != (edges,):
        raise ValueError(f"graph: expected one weight an edge ({edges},), got {tuple(weight.shape)}")
    if weight.is_floating_point() and bool(weight.isnan().any()):
        where = int(weight.isnan().nonzero()[0])
        raise ValueError(f"graph: expected weights that are numbers, got NaN at edge {where} (CSR order)")
    return weight
