"""The densest k-subhypergraph: k nodes that hold as many hyperedges as possible wholly among them (NP-hard).

As HyperGCN's second task learns it (N. Yadati et al., NeurIPS 2019, after Z. Li, Q. Chen and V. Koltun,
Combinatorial Optimization with Graph Convolutional Networks and Guided Tree Search, NeurIPS 2018): a network gives
every node several probabilities, each a map of its own; trained on generated hypergraphs whose dense part is known, it
answers for the map that is nearest to it; on a new hypergraph the best of the k likeliest nodes of each map is taken.
Beside it the paper's two greedy methods.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Hypergraph
from moiety.ops import spmm

__all__ = [
    "Dense",
    "DensestFit",
    "choose",
    "fit_densest",
    "hindsight",
    "inside",
    "max_degree",
    "node_features",
    "planted_dense",
    "remove_min_degree",
]

FEATURES = 5  # of `node_features`


@dataclass(frozen=True)
class Dense:
    """A hypergraph with a part that is dense by construction, and the features that a network sees of its nodes."""

    hypergraph: Hypergraph
    x: Tensor  # (nodes, FEATURES)
    core: Tensor  # bool (nodes,), the part

    @property
    def k(self) -> int:
        return int(self.core.sum())

    @property
    def held(self) -> int:
        """Hyperedges inside the part: what another choice of as many nodes is compared with."""
        return inside(self.hypergraph, self.core)


def inside(hypergraph: Hypergraph, chosen: Tensor) -> int:
    """How many hyperedges lie wholly among the nodes of a mask (nodes,)."""
    if chosen.shape != (hypergraph.num_nodes,) or chosen.dtype is not torch.bool:
        raise ValueError(f"inside: expected a bool mask ({hypergraph.num_nodes},), got {chosen.dtype} {chosen.shape}")
    held = spmm(hypergraph.incidence, chosen.view(-1, 1).float()).flatten()
    return int((held == hypergraph.sizes()).sum())


def max_degree(hypergraph: Hypergraph, k: int) -> Tensor:
    """The k nodes of most hyperedges, of equals the first; a mask (nodes,)."""
    return top(hypergraph.degrees(), _checked(hypergraph, k))


def remove_min_degree(hypergraph: Hypergraph, k: int, among: Tensor | None = None) -> Tensor:
    """What is left of the nodes (a mask) when the one of fewest hyperedges is taken out with all of them until k are
    left, of equals the first.

    among: a mask (nodes,) of k nodes or more; all others are taken out before.
    """
    _checked(hypergraph, k)
    first = torch.zeros(hypergraph.num_nodes, dtype=torch.bool) if among is None else ~among
    if hypergraph.num_nodes - int(first.sum()) < k:
        raise ValueError(f"expected at least k = {k} nodes to choose among, got {int((~first).sum())}")
    holders = hypergraph.incidence.transpose()
    members, pointers = hypergraph.indices.tolist(), hypergraph.indptr.tolist()
    edges, starts = holders.indices.tolist(), holders.indptr.tolist()
    degree = hypergraph.degrees().tolist()
    left, alive = [True] * hypergraph.num_nodes, [True] * hypergraph.num_hyperedges
    heap: list[tuple[int, int]] = []

    def take_out(node: int) -> None:
        left[node] = False
        for edge in edges[starts[node] : starts[node + 1]]:
            if not alive[edge]:
                continue
            alive[edge] = False
            for other in members[pointers[edge] : pointers[edge + 1]]:
                if left[other]:
                    degree[other] -= 1
                    heapq.heappush(heap, (degree[other], other))

    for node in first.nonzero().flatten().tolist():
        take_out(node)
    heap = [(count, node) for node, count in enumerate(degree) if left[node]]
    heapq.heapify(heap)
    for _ in range(sum(left) - k):
        while True:
            count, node = heapq.heappop(heap)
            if left[node] and degree[node] == count:
                break
        take_out(node)
    return torch.tensor(left, dtype=torch.bool)


def top(score: Tensor, k: int) -> Tensor:
    """The k nodes of the highest scores (nodes,), of equals the first; a mask."""
    mask = torch.zeros(len(score), dtype=torch.bool)
    mask[score.argsort(descending=True, stable=True)[:k]] = True
    return mask


def _checked(hypergraph: Hypergraph, k: int) -> int:
    if not 0 < k <= hypergraph.num_nodes:
        raise ValueError(f"expected k in [1, {hypergraph.num_nodes}] nodes, got {k}")
    return k


def node_features(hypergraph: Hypergraph) -> Tensor:
    """(nodes, 5), each column with mean 0 and deviation 1 or constant: one; the logarithm of 1 + degree; and the means
    over a node's hyperedges of the size, of the mean and of the least degree of the members."""
    over, back = hypergraph.incidence, hypergraph.incidence.transpose()
    degree = hypergraph.degrees().float().log1p().view(-1, 1)
    sizes = hypergraph.sizes().float().view(-1, 1)
    means, least = (spmm(over, degree, reduce=reduce) for reduce in ("mean", "min"))
    columns = [degree, *(spmm(back, values, reduce="mean") for values in (sizes, means, least))]
    x = torch.cat(columns, 1)
    x = (x - x.mean(0)) / x.std(0, unbiased=False).clamp(min=1e-6)
    return torch.cat([torch.ones(len(x), 1), x], 1)


def planted_dense(
    nodes: int = 200,
    share: float = 0.25,
    hyperedges: int = 300,
    within: float = 0.3,
    size: float = 3.5,
    skew: float = 0.8,
    seed: int = 0,
) -> Dense:
    """A part of `share` of the nodes in which a share `within` of the hyperedges lies; the others are drawn from all
    nodes with popularity falling as rank^-skew, so that nodes outside the part have high degrees as well.

    Hyperedges have 2 + Poisson(size - 2) different nodes.
    """
    k = round(share * nodes)
    if not (2 <= k < nodes and 0 <= within <= 1 and 2 <= size <= k and hyperedges > 0 and skew >= 0):
        raise ValueError(
            f"expected 2 nodes or more in the part and some outside, within in [0, 1], size in [2, {k}], hyperedges > "
            f"0 and skew >= 0, got {k} of {nodes} nodes, {within}, {size}, {hyperedges}, {skew}"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(nodes)
    popular = np.empty(nodes)
    popular[rng.permutation(nodes)] = np.arange(1, nodes + 1) ** -skew
    popular /= popular.sum()
    lists = []
    for _ in range(hyperedges):
        count = min(2 + int(rng.poisson(size - 2)), k)
        if rng.random() < within:
            lists.append(rng.choice(order[:k], count, replace=False))
        else:
            lists.append(rng.choice(nodes, count, replace=False, p=popular))
    core = torch.zeros(nodes, dtype=torch.bool)
    core[torch.from_numpy(order[:k])] = True
    hypergraph = Hypergraph.from_lists(nodes, lists)
    return Dense(hypergraph, node_features(hypergraph), core)


# --- learning --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DensestFit:
    """Training with Adam, a step a hypergraph."""

    epochs: int = 30
    learning_rate: float = 0.01
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"expected epochs >= 1, learning_rate > 0, weight_decay >= 0, found {self.epochs}, "
                f"{self.learning_rate}, {self.weight_decay}"
            )


def hindsight(logits: Tensor, core: Tensor) -> Tensor:
    """The cross entropy of the map (column of logits (nodes, maps)) that is nearest to the part (Li et al., the
    hindsight loss): the others are free to find other parts."""
    target = core.to(logits.dtype).view(-1, 1).expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(0).min()


def fit_densest(
    model: nn.Module,
    graphs: Sequence[Dense],
    config: DensestFit,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> float:
    """Train `model`, called with features and a hypergraph, one output a map; the last epoch's mean loss.

    The order of the hypergraphs in every epoch, and dropout, come from torch's generator.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    model.train()
    mean = 0.0
    for epoch in range(config.epochs):
        total = 0.0
        for i in torch.randperm(len(graphs)).tolist():
            one = graphs[i]
            optimizer.zero_grad(set_to_none=True)
            loss = hindsight(model(one.x, one.hypergraph), one.core)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        mean = total / len(graphs)
        progress(epoch, mean)
    return mean


@torch.no_grad()
def choose(model: nn.Module, hypergraph: Hypergraph, x: Tensor, k: int, candidates: float = 1.0) -> Tensor:
    """The best of the k likeliest nodes of every map, as a mask (nodes,); the model is left in evaluation mode.

    candidates: above 1 so many times k nodes are taken of every map, of which `remove_min_degree` leaves k.
    """
    _checked(hypergraph, k)
    if candidates < 1:
        raise ValueError(f"expected candidates of at least 1, got {candidates}")
    model.eval()
    count = min(round(candidates * k), hypergraph.num_nodes)
    maps = model(x, hypergraph).t()
    found = (remove_min_degree(hypergraph, k, top(scores, count)) for scores in maps)
    return max(found, key=lambda mask: inside(hypergraph, mask))
