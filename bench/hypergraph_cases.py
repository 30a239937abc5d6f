"""What `hypergraphs.py` measures: hypergraphs, the peers' way to a Laplacian, and the bytes that cannot be avoided."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from graph_cases import Call, Calls
from moiety.graph import Graph, Hypergraph
from moiety.ops import hypergraph_smooth, spmm

__all__ = [
    "WIDTH",
    "build_bytes",
    "laplacians",
    "lists_of",
    "power_law",
    "products",
    "published",
    "searches",
    "signal_of",
]
__all__ += ["smooth_bytes", "with_dhg"]

WIDTH = 16  # columns of a signal: the hidden layer of HyperGCN


def published(data: Path, name: str) -> Hypergraph:
    """One of the five hypergraphs that HyperGCN was published with."""
    with np.load(data / "hypergcn" / f"{name}.npz") as file:
        indptr, indices = file["he_indptr"].astype(np.int64), file["he_indices"]
        return Hypergraph(torch.from_numpy(indptr), torch.from_numpy(indices), int(file["n_nodes"]))


def power_law(incidences: int, seed: int = 0) -> Hypergraph:
    """Sizes by P(size) ~ size^-2.2 from 2 to 200, nodes by popularity ~ rank^-0.5, numbers shuffled; 2.4 times as many
    incidences as nodes, as in co-authorship DBLP."""
    rng = np.random.default_rng(seed)
    nodes = int(incidences / 2.4)
    sizes = np.arange(2, 201)
    chances = sizes**-2.2
    chances /= chances.sum()
    drawn = rng.choice(sizes, int(1.05 * incidences / (sizes @ chances)), p=chances)
    hyperedge = np.repeat(np.arange(len(drawn)), drawn)
    # rank^-0.5 has the distribution function sqrt(rank / nodes).
    node = rng.permutation(nodes)[(nodes * rng.random(len(hyperedge)) ** 2).astype(np.int64)]
    key = np.unique(hyperedge * nodes + node)  # a node counts once
    hyperedge, node = key // nodes, key % nodes
    indptr = np.concatenate([[0], np.cumsum(np.bincount(hyperedge, minlength=len(drawn)))])
    return Hypergraph(torch.from_numpy(indptr), torch.from_numpy(node.astype(np.int32)), nodes)


def signal_of(hypergraph: Hypergraph) -> Tensor:
    return torch.randn(hypergraph.num_nodes, WIDTH, generator=torch.Generator().manual_seed(1))


def lists_of(hypergraph: Hypergraph) -> list[list[int]]:
    members = hypergraph.indices.tolist()
    return [members[a:b] for a, b in pairwise(hypergraph.indptr.tolist())]


def reference(nodes: int, lists: list[list[int]], signal: np.ndarray, line: np.ndarray, mediators: bool) -> Any:
    """The published program's algorithm, written anew: a dictionary of weights filled by a loop over hyperedges."""
    weights: dict[tuple[int, int], float] = {}

    def join(u: int, v: int, weight: float) -> None:
        weights[u, v] = weights.get((u, v), 0.0) + weight
        weights[v, u] = weights.get((v, u), 0.0) + weight

    for members in lists:
        places = signal[members] @ line
        s, i = members[int(places.argmax())], members[int(places.argmin())]
        share = 1 / (2 * len(members) - 3) if mediators else 1 / len(members)
        join(s, i, share)
        if mediators:
            for k in members:
                if k not in (s, i):
                    join(s, k, share)
                    join(i, k, share)
    rows, columns = zip(*weights, strict=True)
    a = sp.coo_matrix((list(weights.values()), (rows, columns)), shape=(nodes, nodes), dtype=np.float32).tocsr()
    a = a + sp.eye(nodes, dtype=np.float32)
    scale = sp.diags(np.power(np.asarray(a.sum(1)).ravel(), -0.5))
    found = (scale @ a @ scale).tocoo()
    index = torch.from_numpy(np.stack([found.row, found.col]).astype(np.int64))
    return torch.sparse_coo_tensor(index, torch.from_numpy(found.data.astype(np.float32)), found.shape)


def with_dhg(hypergraph: Hypergraph, signal: Tensor, mediators: bool) -> Call | None:
    """DHG's graph of a HyperGCN Laplacian and its first smoothing, which is when it makes the matrix."""
    try:
        import dhg
    except ImportError:
        return None
    theirs = dhg.Hypergraph(hypergraph.num_nodes, lists_of(hypergraph))

    def run() -> Tensor:
        graph = dhg.Graph.from_hypergraph_hypergcn(theirs, signal, mediators)
        smoothed: Tensor = graph.smoothing_with_GCN(signal)
        return smoothed

    return run


def laplacians(hypergraph: Hypergraph, mediators: bool) -> tuple[Calls, Calls]:
    """Ours, and slow peers: signal to Laplacian; DHG's time holds one smoothing, so does "moiety and product"."""
    signal, lists, random = signal_of(hypergraph), lists_of(hypergraph), np.random.default_rng(0)
    array = signal.numpy()
    calls: Calls = {
        "moiety": lambda: hypergraph.laplacian(signal, mediators, "code"),
        "moiety and product": lambda: spmm(hypergraph.laplacian(signal, mediators, "code"), signal),
    }
    slow: Calls = {"reference": lambda: reference(hypergraph.num_nodes, lists, array, random.random(WIDTH), mediators)}
    if (dhg := with_dhg(hypergraph, signal, mediators)) is not None:
        slow["DHG"] = dhg
    return calls, slow


def searches(hypergraph: Hypergraph) -> Calls:
    """The pairs alone."""
    signal = signal_of(hypergraph)
    return {"projection": lambda: hypergraph.pairs(signal), "exact": lambda: hypergraph.pairs(signal, "exact")}


def products(hypergraph: Hypergraph, mediators: bool) -> Calls:
    """A product, forward and backward, when the pairs change with every one, and when they stay."""
    x, dy = signal_of(hypergraph).requires_grad_(), signal_of(hypergraph)
    s, i = hypergraph.pairs(x)
    built = hypergraph.laplacian(x, mediators)

    def gradient(y: Tensor) -> object:
        return torch.autograd.grad(y, x, dy)

    def matrix() -> Graph:
        return hypergraph.laplacian(x, mediators)

    calls: Calls = {
        "without a matrix": lambda: hypergraph.smooth(x.detach(), mediators=mediators),
        "matrix and product": lambda: spmm(matrix(), x.detach()),
        "without a matrix, forward and backward": lambda: gradient(hypergraph.smooth(x, mediators=mediators)),
        "matrix and products, forward and backward": lambda: gradient(spmm(matrix(), x)),
        "pairs given, without a matrix": lambda: hypergraph_smooth(hypergraph, x.detach(), s, i, mediators),
        "matrix given": lambda: spmm(built, x.detach()),
    }
    return calls


def build_bytes(hypergraph: Hypergraph, graph: Graph) -> float:
    """Read once: the signal and both sides of the incidence; written once: the rows."""
    h = hypergraph
    read = 4 * WIDTH * h.num_nodes + 2 * 4 * h.num_incidences + 8 * (h.num_nodes + h.num_hyperedges)
    return read + 8 * graph.num_edges + 8 * h.num_nodes


def smooth_bytes(hypergraph: Hypergraph) -> float:
    """Gathered and written: a row and a number an incidence in either pass, two rows a hyperedge, a row a node."""
    h = hypergraph
    return 2 * h.num_incidences * (4 * WIDTH + 4) + 4 * WIDTH * (2 * h.num_hyperedges + 2 * h.num_nodes)
