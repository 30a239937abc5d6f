"""What `Graph` is made from: every form becomes a checked `Structure`, a weight and the order in which edges came."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from moiety.graph.structure import NARROW, Structure, index_dtype

__all__ = ["Parts", "from_csr", "from_dgl", "from_edge_index", "from_pyg", "from_scipy", "from_torch", "subgraph"]

Parts = tuple[Structure, Tensor | None, Tensor | None]  # structure, weight and edge_order, as Graph() takes them
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def from_csr(indptr: Any, indices: Any, weight: Any, num_cols: int | None, order: str | None) -> Parts:
    """`Graph.from_csr`."""
    pointers, columns = _integers("indptr", indptr), _integers("indices", indices)
    if pointers.numel() < 1:
        raise ValueError("graph: expected indptr of num_rows + 1 numbers, got none")
    if pointers.dtype is not torch.int64 and columns.numel() > NARROW:
        raise ValueError(
            f"graph: {columns.numel()} edges are more than {pointers.dtype} pointers can count; pass indptr as int64"
        )
    cols = pointers.numel() - 1 if num_cols is None else num_cols
    dtype = index_dtype(max(pointers.numel() - 1, cols))
    if dtype is torch.int32 and columns.dtype is torch.int64 and columns.numel():
        least, most = (int(v) for v in columns.aminmax())
        if least < 0 or most >= cols:  # before they lose their upper half
            where = int(((columns < 0) | (columns >= cols)).nonzero()[0])
            raise ValueError(f"graph: expected indices in [0, {cols}), got {int(columns[where])} at edge {where}")
    structure = Structure(pointers.to(torch.int64).contiguous(), columns.to(dtype).contiguous(), cols, order)
    return structure, None if weight is None else _values(weight), None


def from_scipy(matrix: Any, order: str | None) -> Parts:
    """`Graph.from_scipy`."""
    if not hasattr(matrix, "tocsr"):
        raise TypeError(f"graph: expected a SciPy sparse matrix, got {type(matrix).__name__}")
    csr = matrix.tocsr()
    data = csr.data
    if data.dtype == np.bool_:
        data = data.astype(np.float32)
    return from_csr(csr.indptr, csr.indices, np.array(data), csr.shape[1], order)


def from_edge_index(
    edge_index: Tensor, num_nodes: int | None, weight: Tensor | None, num_sources: int | None, order: str | None
) -> Parts:
    """`Graph.from_edge_index`."""
    edge_index = _integers("edge_index", edge_index, vector=False)
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(f"graph: expected edge_index (2, num_edges), got {tuple(edge_index.shape)}")
    source, target = edge_index
    if num_nodes is None:
        chosen = target if num_sources is not None else edge_index
        num_nodes = int(chosen.max()) + 1 if chosen.numel() else 0
    sources = num_nodes if num_sources is None else num_sources
    if num_nodes < 0 or sources < 0:
        raise ValueError(f"graph: expected counts of nodes >= 0, got {num_nodes} and {sources}")
    if weight is not None and weight.shape != (source.numel(),):
        raise ValueError(f"graph: expected one weight an edge ({source.numel()},), got {tuple(weight.shape)}")
    structure, position = Structure.from_edges(target, source, num_nodes, sources)
    structure.order = order
    if bool((position == torch.arange(position.numel())).all()):
        return structure, weight, None
    return structure, None if weight is None else weight[position], position


def from_torch(matrix: Tensor, order: str | None) -> Parts:
    """`Graph.from_torch`."""
    if matrix.ndim != 2 or matrix.layout not in (torch.sparse_csr, torch.sparse_csc, torch.sparse_coo):
        raise TypeError(f"graph: expected a sparse CSR, CSC or COO matrix, got {matrix.layout} {tuple(matrix.shape)}")
    _on_cpu("matrix", matrix)
    rows, cols = matrix.shape
    if matrix.layout is torch.sparse_csr:
        return from_csr(matrix.crow_indices(), matrix.col_indices(), matrix.values(), cols, order)
    if matrix.layout is torch.sparse_csc:
        pointers, row = matrix.ccol_indices(), matrix.row_indices()
        source = torch.repeat_interleave(torch.arange(cols), pointers.diff().to(torch.int64), output_size=row.numel())
        return from_edge_index(torch.stack([source, row.to(torch.int64)]), rows, matrix.values(), cols, order)
    # As they lie: coalescing would add up duplicates, which the product does by itself.
    return from_edge_index(matrix._indices().flip(0), rows, matrix._values(), cols, order)


def from_pyg(data: Any, order: str | None) -> Parts:
    """`Graph.from_pyg`."""
    if getattr(data, "edge_index", None) is None:
        raise TypeError(f"graph: expected a torch_geometric Data with edge_index, got {type(data).__name__}")
    return from_edge_index(data.edge_index, data.num_nodes, getattr(data, "edge_weight", None), None, order)


def from_dgl(graph: Any, weight: str | None, order: str | None) -> Parts:
    """`Graph.from_dgl`."""
    if not hasattr(graph, "edges") or not hasattr(graph, "num_dst_nodes"):
        raise TypeError(f"graph: expected a DGL graph, got {type(graph).__name__}")
    source, target = graph.edges()
    square = not getattr(graph, "is_block", False) and graph.num_src_nodes() == graph.num_dst_nodes()
    values = None if weight is None else graph.edata[weight].reshape(-1)
    sources = None if square else graph.num_src_nodes()
    return from_edge_index(torch.stack([source, target]), graph.num_dst_nodes(), values, sources, order)


def subgraph(structure: Structure, num_nodes: int, weight: Tensor | None, nodes: Tensor, order: str | None) -> Parts:
    """`Graph.subgraph`."""
    nodes = _integers("nodes", nodes).to(torch.int64)
    if nodes.numel() and (int(nodes.min()) < 0 or int(nodes.max()) >= num_nodes):
        raise ValueError(f"subgraph: expected nodes in [0, {num_nodes}), got {int(nodes.min())} to {int(nodes.max())}")
    number = torch.full((num_nodes,), -1)
    number[nodes] = torch.arange(nodes.numel())
    if int((number >= 0).sum()) != nodes.numel():
        raise ValueError("subgraph: expected nodes that differ from each other, got some twice")
    # Only the rows of `nodes` are looked at, row by row in the new order.
    start, degree = structure.indptr[nodes], structure.degrees[nodes]
    target = torch.repeat_interleave(torch.arange(nodes.numel()), degree)
    within = torch.arange(target.numel()) - (degree.cumsum(0) - degree)[target]
    edge = start[target] + within
    source = number[structure.indices[edge]]
    inside = source >= 0
    edges = torch.stack([source[inside], target[inside]])
    found, _, position = from_edge_index(edges, nodes.numel(), None, None, order)
    edge = edge[inside] if position is None else edge[inside][position]
    return found, None if weight is None else weight[edge], edge


def _on_cpu(name: str, value: Tensor) -> None:
    if value.device.type != "cpu":
        raise ValueError(f"graph: expected {name} on the CPU, got {value.device}: call .cpu() first")


def _integers(name: str, value: Any, vector: bool = True) -> Tensor:
    """A tensor of integers; arrays and sequences are taken as they are, without a copy where that is possible."""
    if not isinstance(value, Tensor):
        array = np.asarray(value)
        if array.size == 0:
            array = array.astype(np.int64)
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.int64)
        value = (
            torch.from_numpy(array if array.flags.writeable else array.copy()) if array.dtype.kind in "iu" else array
        )
    if not isinstance(value, Tensor) or value.dtype not in INTEGERS:
        raise TypeError(f"graph: expected {name} of integers, got {value.dtype}")
    plain: Tensor = value
    if type(value) is not Tensor:  # a subclass need have no memory of its own, which kernels would read
        if not hasattr(value, "as_tensor"):  # torch_geometric's EdgeIndex and Index have it
            raise TypeError(f"graph: expected {name} as a plain tensor, got {type(value).__name__}")
        plain = value.as_tensor()
    _on_cpu(name, plain)
    if vector and plain.ndim != 1:
        raise ValueError(f"graph: expected {name} of one dimension, got {tuple(plain.shape)}")
    return plain


def _values(weight: Any) -> Tensor:
    if isinstance(weight, Tensor):
        _on_cpu("weight", weight)
        return weight.contiguous()
    array = np.ascontiguousarray(weight)
    if array.dtype in (np.uint32, np.uint64):  # the ring's own type in NumPy; torch has the signed one
        array = array.view(np.int32 if array.dtype == np.uint32 else np.int64)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
