"""Operators on graphs and their peers, as calls that take turns: what bench/graphs.py and bench_graph.py measure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnn_epochs import rmat
from moiety.graph import Graph
from moiety.ops import gat_aggregate, sddmm, spmm

__all__ = ["Call", "Calls", "attention", "cora", "gather", "least_cpu", "product", "product_backward", "reductions"]
__all__ += ["peer_coo", "power_law", "ring", "sampled", "traffic", "uniform"]

Call = Callable[[], object]
Calls = dict[str, Call]
HEADS = 4


def power_law(scale: int = 17) -> Graph:
    """RMAT (a, b, c = .57, .19, .19), 32 edges a node drawn, duplicates dropped, numbers shuffled; random weights."""
    return weighted(rmat(scale, 32 << scale), 1 << scale)


def uniform(nodes: int = 1 << 17, edges: int = 4_000_000) -> Graph:
    """Sources and targets drawn alike for all."""
    return weighted(torch.randint(0, nodes, (2, edges), generator=torch.Generator().manual_seed(0)), nodes)


def cora() -> Graph:
    """Nodes and edges as many as Cora has."""
    return uniform(2708, 10556)


def weighted(edge_index: Tensor, nodes: int) -> Graph:
    weight = torch.rand(edge_index.shape[1], generator=torch.Generator().manual_seed(1))
    graph = Graph.from_edge_index(edge_index, nodes, weight)
    graph.transpose()
    return graph


def least_cpu(calls: Calls, repeat: int) -> dict[str, float]:
    """Seconds of CPU time of this process for each call, the least over turns whose order alternates."""
    found = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for turn in range(repeat):
        for name in list(calls)[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            calls[name]()
            found[name] = min(found[name], time.process_time() - start)
    return found


def traffic(graph: Graph, width: int) -> float:
    """Bytes that the product gathers and writes, float32 with 32-bit indices and weights."""
    return graph.num_edges * (4 * width + 8) + 4 * graph.num_rows * width


def sparse(graph: Graph, weight: Tensor | None = None) -> Tensor:
    values = graph.weight if weight is None else weight
    assert values is not None
    size = (graph.num_rows, graph.num_cols)
    return torch.sparse_csr_tensor(graph.indptr, graph.indices.long(), values, size, check_invariants=False)


def scipy_matrix(graph: Graph, dtype: Any = np.float32) -> Any:
    values = np.ones(graph.num_edges, dtype) if graph.weight is None else graph.weight.numpy().astype(dtype)
    csr = import_module("scipy.sparse").csr_matrix
    return csr((values, graph.indices.numpy(), graph.indptr.numpy()), (graph.num_rows, graph.num_cols))


def peer_coo(graph: Graph) -> Callable[[Tensor], Tensor]:
    """What torch_geometric's message passing does with edge_index: gather, weigh, scatter."""
    scatter = import_module("torch_geometric.utils").scatter
    source, target = graph.edge_index
    weight = graph.weight.unsqueeze(1)  # type: ignore[union-attr]
    return lambda x: scatter(x.index_select(0, source) * weight, target, 0, graph.num_rows, reduce="sum")


def numba_product(graph: Graph) -> Callable[[np.ndarray], np.ndarray]:
    """The product as one would write it in numba."""
    numba = import_module("numba")
    indptr, indices, weight = graph.indptr.numpy(), graph.indices.numpy(), graph.weight.numpy()  # type: ignore[union-attr]

    @numba.njit(fastmath=True)
    def rows(x: np.ndarray) -> np.ndarray:
        y = np.zeros((len(indptr) - 1, x.shape[1]), x.dtype)
        for i in range(len(indptr) - 1):
            for e in range(indptr[i], indptr[i + 1]):
                for f in range(x.shape[1]):
                    y[i, f] += weight[e] * x[indices[e], f]
        return y

    return rows


def dgl_graph(graph: Graph) -> Any:
    """The same for DGL, where it imports."""
    dgl = import_module("dgl")
    source, target = graph.edge_index
    return dgl.graph((source, target), num_nodes=graph.num_nodes)


def gather(graph: Graph, width: int) -> Call:
    """The rows that the product reads, in its order, summed: a graph of one row, nothing written."""
    one = Graph.from_csr(torch.tensor([0, graph.num_edges]), graph.indices, None, graph.num_cols)
    x = torch.randn(graph.num_cols, width)
    return lambda: spmm(one, x)


def product(graph: Graph, width: int, peers: bool = True) -> Calls:
    x = torch.randn(graph.num_cols, width, generator=torch.Generator().manual_seed(2))
    half, a = x.bfloat16(), sparse(graph)
    calls: Calls = {"moiety": lambda: spmm(graph, x), "moiety bf16": lambda: spmm(graph, half)}
    calls |= {"torch.sparse.mm sum": lambda: torch.sparse.mm(a, x, "sum"), "A @ X": lambda: a @ x}
    if peers:
        array, matrix = x.numpy(), scipy_matrix(graph)
        calls["scipy"] = lambda: matrix @ array
        with contextlib.suppress(ImportError):
            by_rows = numba_product(graph)
            calls["numba"] = lambda: by_rows(array)
        with contextlib.suppress(ImportError):
            messages = peer_coo(graph)
            calls["PyG edge_index"] = lambda: messages(x)
    return calls


def product_backward(graph: Graph, width: int) -> Calls:
    x, dy = torch.randn(graph.num_cols, width, requires_grad=True), torch.randn(graph.num_rows, width)
    a = sparse(graph)
    calls: Calls = {
        "moiety": lambda: torch.autograd.grad(spmm(graph, x), x, dy),
        "torch.sparse.mm sum": lambda: torch.autograd.grad(torch.sparse.mm(a, x, "sum"), x, dy),
        "A @ X": lambda: torch.autograd.grad(a @ x, x, dy),
    }
    with contextlib.suppress(ImportError):
        messages = peer_coo(graph)
        calls["PyG edge_index"] = lambda: torch.autograd.grad(messages(x), x, dy)
    return calls


def attention(graph: Graph, width: int, backward: bool) -> Calls:
    """Scores, softmax and aggregation of GAT, as torch_geometric's GATConv computes them without dropout."""
    features = width // HEADS
    x = torch.randn(graph.num_cols, HEADS, features, requires_grad=backward)
    source, target = (torch.randn(n, HEADS, requires_grad=backward) for n in (graph.num_cols, graph.num_rows))
    dy = torch.randn(graph.num_rows, HEADS, features)

    def run(forward: Callable[[], Tensor]) -> object:
        return torch.autograd.grad(forward(), (x, source, target), dy) if backward else forward()

    calls: Calls = {"moiety": lambda: run(lambda: gat_aggregate(graph, x, source, target))}
    with contextlib.suppress(ImportError):
        utils = import_module("torch_geometric.utils")
        j, i = graph.edge_index

        def pyg() -> Tensor:
            alpha = torch.nn.functional.leaky_relu(source[j] + target[i], 0.2)
            alpha = utils.softmax(alpha, i, num_nodes=graph.num_rows)
            return utils.scatter(x[j] * alpha.unsqueeze(-1), i, 0, graph.num_rows, reduce="sum")

        calls["PyG"] = lambda: run(pyg)
    with contextlib.suppress(ImportError, OSError):
        g, function = dgl_graph(graph), import_module("dgl.function")
        ops = import_module("dgl.nn.functional")

        def dgl() -> Tensor:
            with g.local_scope():
                g.srcdata.update({"x": x, "s": source.unsqueeze(-1)})
                g.dstdata["t"] = target.unsqueeze(-1)
                g.apply_edges(function.u_add_v("s", "t", "z"))
                g.edata["a"] = ops.edge_softmax(g, torch.nn.functional.leaky_relu(g.edata.pop("z"), 0.2))
                g.update_all(function.u_mul_e("x", "a", "m"), function.sum("m", "y"))
                return g.dstdata["y"]

        calls["DGL"] = lambda: run(dgl)
    return calls


def reductions(graph: Graph, width: int, reduce: str) -> Calls:
    """Maximum with its argument, or mean without weights."""
    x = torch.randn(graph.num_cols, width)
    if reduce == "mean":
        bare, ones = graph.with_weight(None), sparse(graph, torch.ones(graph.num_edges))
        return {
            "moiety": lambda: spmm(bare, x, None, "mean"),
            "torch.sparse.mm mean": lambda: torch.sparse.mm(ones, x, "mean"),
        }
    a = sparse(graph)
    return {
        "moiety": lambda: spmm(graph, x, None, "max", return_argument=True),
        "torch.sparse.mm amax (no argument)": lambda: torch.sparse.mm(a, x, "amax"),
    }


def sampled(graph: Graph, width: int) -> Calls:
    x, y = torch.randn(graph.num_rows, width), torch.randn(graph.num_cols, width)
    zero = sparse(graph, torch.zeros(graph.num_edges))
    return {
        "moiety": lambda: sddmm(graph, x, y),
        "torch.sparse.sampled_addmm": lambda: torch.sparse.sampled_addmm(zero, x, y.t()),
    }


def ring(graph: Graph, width: int) -> Calls:
    """The product in Z_2^64, beside SciPy's int64 and our float32 at as many features and at as many bytes."""
    weight = (graph.weight * 2**16).long()  # type: ignore[operator]
    integers, random = graph.with_weight(weight), torch.Generator().manual_seed(3)
    x = torch.randint(-(2**62), 2**62, (graph.num_cols, width), generator=random)
    single, twice = torch.randn(graph.num_cols, width), torch.randn(graph.num_cols, 2 * width)
    matrix, array = scipy_matrix(integers, np.int64), x.numpy()
    return {
        "moiety u64": lambda: spmm(integers, x),
        "moiety float32": lambda: spmm(graph, single),
        "moiety float32, as many bytes": lambda: spmm(graph, twice),
        "scipy int64": lambda: matrix @ array,
    }
