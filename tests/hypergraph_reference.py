"""HyperGCN's operator written down slowly from its description, in Python floats, and hypergraphs to try it on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import scipy.sparse
import torch
from hypothesis import strategies as st
from torch import Tensor

from moiety.graph import Graph, Hypergraph

__all__ = [
    "SETS",
    "Lists",
    "dense",
    "exact_pairs",
    "hypergraphs",
    "laplacian",
    "load_lists",
    "matrix",
    "projected_pairs",
]
__all__ += ["random_lists"]

Lists = list[list[int]]
SETS = ["coauthorship_cora", "coauthorship_dblp", "cocitation_citeseer", "cocitation_cora", "cocitation_pubmed"]


def projected_pairs(hyperedges: Lists, signal: np.ndarray, direction: np.ndarray) -> list[tuple[int, int]]:
    """argmax and argmin of the projection of every hyperedge; the first of equals, as numpy's argmax has it."""
    rows, r = signal.astype(np.float64).tolist(), direction.tolist()
    projection = [math.fsum(a * b for a, b in zip(row, r, strict=True)) for row in rows]
    pairs = []
    for members in hyperedges:
        p = [projection[v] for v in members]
        pairs.append((members[p.index(max(p))], members[p.index(min(p))]))
    return pairs


def exact_pairs(hyperedges: Lists, signal: np.ndarray) -> list[tuple[int, int]]:
    """The two nodes furthest apart, every pair tried; the first of equals; the first node twice if all are equal."""
    rows = signal.astype(np.float64)
    pairs = []
    for members in hyperedges:
        best, pair = 0.0, (members[0], members[0])
        for a, u in enumerate(members):
            for v in members[a + 1 :]:
                distance = math.fsum(((rows[u] - rows[v]) ** 2).tolist())
                if distance > best:
                    best, pair = distance, (u, v)
        pairs.append(pair)
    return pairs


def laplacian(
    num_nodes: int,
    hyperedges: Lists,
    pairs: Sequence[tuple[int, int]],
    mediators: bool,
    weighting: str,
    own: Sequence[float] | None = None,
) -> dict[tuple[int, int], float]:
    """Entries of D^-1/2 (A + I) D^-1/2: the loop over hyperedges and mediators of the reference code."""
    a: dict[tuple[int, int], float] = {(v, v): 1.0 for v in range(num_nodes)}

    def join(u: int, v: int, weight: float) -> None:
        a[u, v] = a.get((u, v), 0.0) + weight
        a[v, u] = a.get((v, u), 0.0) + weight

    for e, (members, (s, i)) in enumerate(zip(hyperedges, pairs, strict=True)):
        if len(members) == 1 or (s == i and weighting == "paper"):
            continue
        w = 1.0 if own is None else float(own[e])
        if not mediators:
            join(s, i, w / len(members) if weighting == "code" else w)
            continue
        share = w / (2 * len(members) - 3)
        join(s, i, share)
        for k in members:
            if k not in (s, i):
                join(s, k, share)
                join(i, k, share)
    degree = [0.0] * num_nodes
    for (u, _), value in a.items():
        degree[u] += value
    return {(u, v): value / math.sqrt(degree[u] * degree[v]) for (u, v), value in a.items()}


def matrix(num_nodes: int, entries: dict[tuple[int, int], float]) -> scipy.sparse.csr_matrix:
    """Entries as a matrix with sorted columns, float64."""
    rows, cols = (np.array(k) for k in zip(*entries, strict=True))
    csr = scipy.sparse.coo_matrix((list(entries.values()), (rows, cols)), (num_nodes, num_nodes)).tocsr()
    csr.sort_indices()
    return csr


def dense(graph: Graph) -> np.ndarray:
    """A weighted graph's matrix, float64; refuses one in which an entry stands twice."""
    source, target = graph.edge_index.numpy()
    found = np.full((graph.num_rows, graph.num_cols), np.nan)
    assert len(set(zip(source.tolist(), target.tolist(), strict=True))) == graph.num_edges
    assert graph.weight is not None
    found[target, source] = graph.weight.double().numpy()
    return np.nan_to_num(found)


# --- hypergraphs ------------------------------------------------------------------------------------------------------


@st.composite
def hypergraphs(
    draw: st.DrawFn, most_nodes: int = 12, most_hyperedges: int = 12
) -> tuple[int, Lists, list[float] | None]:
    """(num_nodes, hyperedges in any order of their nodes, weights or None): singletons, repeats and lone nodes too."""
    n = draw(st.integers(1, most_nodes))
    one = st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True)
    lists = draw(st.lists(one, max_size=most_hyperedges))
    weight = st.lists(st.floats(0.125, 8, width=32), min_size=len(lists), max_size=len(lists))
    return n, lists, draw(st.none() | weight)


@cache
def random_lists(num_nodes: int, hyperedges: int, largest: int, seed: int = 0) -> Lists:
    """Sizes between 1 and `largest`, small ones more often; the last five nodes are in none."""
    random = Random(seed)
    sizes = np.minimum(largest, 1 + np.random.default_rng(seed).geometric(0.25, hyperedges))
    sizes[0], sizes[1] = largest, 1
    return [random.sample(range(num_nodes - 5), int(size)) for size in sizes]


def load_lists(data: Path, name: str) -> tuple[Hypergraph, Lists]:
    """One of HyperGCN's five sets."""
    with np.load(data / "hypergcn" / f"{name}.npz") as file:
        indptr, indices, nodes = file["he_indptr"], file["he_indices"], int(file["n_nodes"])
    lists = [part.tolist() for part in np.split(indices, indptr[1:-1])]
    return Hypergraph(torch.from_numpy(indptr).long(), torch.from_numpy(indices), nodes), lists


def random_signal(num_nodes: int, width: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(num_nodes, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)
