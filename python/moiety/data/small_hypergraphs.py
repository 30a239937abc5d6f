"""Hypergraphs that need no file: drawn from a planted partition of the nodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moiety.data.graph_data import random_split, row_normalized
from moiety.data.hypergraph_data import HypergraphData
from moiety.graph import Graph, Hypergraph

__all__ = ["planted_hypergraph"]


def planted_hypergraph(
    nodes: int = 400,
    classes: int = 4,
    hyperedges: int = 400,
    size: float = 4.0,
    purity: float = 0.85,
    words: int = 200,
    length: int = 8,
    signal: float = 0.4,
    train: int = 5,
    splits: int = 10,
    seed: int = 0,
) -> HypergraphData:
    """Nodes in equal classes; hyperedges of 2 + Poisson(size - 2) nodes, each of a class: a member comes from it with
    probability `purity`, else from anywhere (a hypergraph form of the planted partition, D. Ghoshdastidar and A.
    Dukkipati, Consistency of Spectral Partitioning of Uniform Hypergraphs under Planted Partition Model, NeurIPS 2014).

    features: `length` of `words` words a node, sparse, rows divided by their sums; a word comes from its class's share
    of the vocabulary with probability `signal`. train: nodes of each class that each of the `splits` trains on.
    """
    if classes < 2 or nodes < 2 * classes or hyperedges < 1 or words < classes or splits < 1:
        raise ValueError(
            "expected 2 classes or more, two nodes and a word a class, a hyperedge and a split, got "
            f"{classes} classes, {nodes} nodes, {words} words, {hyperedges} hyperedges, {splits} splits"
        )
    if not (0 <= purity <= 1 and 0 <= signal <= 1 and 2 <= size <= nodes / classes and 1 <= length <= words):
        raise ValueError(
            f"expected purity and signal in [0, 1], size in [2, {nodes / classes:g}] and length in [1, {words}], got "
            f"{purity}, {signal}, {size}, {length}"
        )
    rng = np.random.default_rng(seed)
    y = np.arange(nodes) % classes
    members = [_hyperedge(rng, y, int(rng.integers(classes)), size, purity) for _ in range(hyperedges)]
    labels = torch.from_numpy(y)
    masks = torch.stack([random_split(labels, train, 0, seed + k)[0] for k in range(splits)])
    x = row_normalized(_words(rng, y, classes, words, length, signal))
    hypergraph = Hypergraph.from_lists(nodes, members)
    return HypergraphData("planted", hypergraph, x, labels, masks, tuple(str(k) for k in range(classes)))


def _hyperedge(
    rng: np.random.Generator, y: npt.NDArray[np.int64], label: int, size: float, purity: float
) -> npt.NDArray[np.int64]:
    """Different nodes, two or more."""
    own = np.flatnonzero(y == label)
    while True:
        count = min(2 + int(rng.poisson(size - 2)), len(own))
        inside = int(rng.binomial(count, purity))
        chosen = np.concatenate([rng.choice(own, inside, replace=False), rng.choice(len(y), count - inside, False)])
        if len(found := np.unique(chosen)) > 1:
            return found.astype(np.int64)


def _words(
    rng: np.random.Generator, y: npt.NDArray[np.int64], classes: int, words: int, length: int, signal: float
) -> Tensor | Graph:
    """A bag of words (nodes, words): how often each node has each word."""
    share = words // classes
    topical = y[:, None] * share + rng.integers(share, size=(len(y), length))
    drawn = np.where(rng.random((len(y), length)) < signal, topical, rng.integers(words, size=(len(y), length)))
    keys, counts = np.unique(np.arange(len(y))[:, None] * words + drawn, return_counts=True)
    pointers = np.searchsorted(keys, np.arange(len(y) + 1) * words)
    return Graph.from_csr(pointers, keys % words, counts.astype(np.float32), num_cols=words)
