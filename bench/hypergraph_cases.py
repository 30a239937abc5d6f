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
    "published_program",
    "searches",
    "signal_of",
]
__all__ += ["smooth_bytes", "with_dhg", "with_one_dictionary"]

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


def published_program(
    nodes: int, hyperedges: dict[int, list[int]], signal: np.ndarray, random: np.random.Generator, mediators: bool
) -> Tensor:
    """The Laplacian by the steps of the published program (malllabiisc/HyperGCN, model/utils.py), written anew.

    Edges go to a list and weights to a dictionary that is asked whether it has an edge before it is added to; another
    dictionary makes edges distinct, their weights are looked up once more, and lists become a SciPy matrix, which is
    normalised and made a sparse tensor.
    """
    edges: list[list[int]] = []
    weights: dict[tuple[int, int], float] = {}

    def add(pairs: list[list[int]], share: int) -> None:
        edges.extend(pairs)
        for u, v in pairs:
            if (u, v) not in weights:
                weights[(u, v)] = 0
            weights[(u, v)] += float(1 / share)

    line = random.random(signal.shape[1])
    for name in hyperedges:
        members = list(hyperedges[name])
        places = np.dot(signal[members], line)
        s, i = members[np.argmax(places)], members[np.argmin(places)]
        share = 2 * len(members) - 3 if mediators else len(members)
        add([[s, i], [i, s]], share)
        if mediators:
            for k in members:
                if k != s and k != i:
                    add([[s, k], [i, k], [k, s], [k, i]], share)
    number = {tuple(edge): position for position, edge in enumerate(edges)}
    distinct = [list(edge) for edge in number]
    found = [weights[(edge[0], edge[1])] for edge in distinct]
    index = np.array(distinct)
    a = sp.coo_matrix((np.array(found), (index[:, 0], index[:, 1])), shape=(nodes, nodes), dtype=np.float32)
    return _normalised(sp.csr_matrix(a + sp.eye(nodes), dtype=np.float32))


def with_one_dictionary(
    nodes: int, hyperedges: dict[int, list[int]], signal: np.ndarray, random: np.random.Generator, mediators: bool
) -> Tensor:
    """The same Laplacian as leanly as Python has it: one dictionary and no list of edges."""
    weights: dict[tuple[int, int], float] = {}

    def join(u: int, v: int, weight: float) -> None:
        weights[u, v] = weights.get((u, v), 0.0) + weight
        weights[v, u] = weights.get((v, u), 0.0) + weight

    line = random.random(signal.shape[1])
    for members in hyperedges.values():
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
    return _normalised(a + sp.eye(nodes, dtype=np.float32))


def _normalised(a: Any) -> Tensor:
    scale = np.power(np.array(a.sum(1)), -1 / 2).flatten()
    scale[np.isinf(scale)] = 0.0
    diagonal = sp.diags(scale)
    found = diagonal.dot(a).dot(diagonal).tocoo().astype(np.float32)
    index = torch.from_numpy(np.vstack((found.row, found.col))).long()
    return torch.sparse_coo_tensor(index, torch.from_numpy(found.data), torch.Size(found.shape))


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
    signal, random = signal_of(hypergraph), np.random.default_rng(0)
    peer = hypergraph.num_nodes, dict(enumerate(lists_of(hypergraph))), signal.numpy(), random, mediators
    calls: Calls = {
        "moiety": lambda: hypergraph.laplacian(signal, mediators, "code"),
        "moiety and product": lambda: spmm(hypergraph.laplacian(signal, mediators, "code"), signal),
    }
    slow: Calls = {
        "reference": lambda: published_program(*peer),
        "the same with one dictionary": lambda: with_one_dictionary(*peer),
    }
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
