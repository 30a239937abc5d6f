"""What workers exchange for HyperGCN's product when nodes, and the hypergraph with them, are dealt out.

A hyperedge is summed by the worker that has most of its nodes (the first of equals). Every other worker with nodes of
it sends one row, the sum of its own, and one more if it has an end of the pair, the sum of its ends; it gets back the
message to mediators if it has one, and that to ends if it has one (csrc/hypergraph/smooth.hpp: t_e and b_e). Both
exchanges are a superstep each. A hyperedge within one worker costs nothing, one over k workers 2 (k - 1) rows and more:
the connectivity metric of hypergraph partitioning.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moiety.graph import Hypergraph

__all__ = ["HypergraphExchange", "of_hypergraph_partition"]


@dataclass(frozen=True)
class HypergraphExchange:
    """Exact counts of one product with mediators. `cut`: hyperedges of more than one worker; a row has all features."""

    workers: int
    cut: int
    rows_to_hyperedges: int
    rows_to_nodes: int

    @property
    def supersteps(self) -> int:
        return 2 if self.cut else 0

    def bytes(self, width: int, word: int = 4) -> int:
        """Bytes that `width` features of `word` bytes move."""
        return (self.rows_to_hyperedges + self.rows_to_nodes) * width * word


def of_hypergraph_partition(hypergraph: Hypergraph, s: Tensor, i: Tensor, part: Tensor) -> HypergraphExchange:
    """Of pairs (s, i) and the worker of every node, `part` (num_nodes,) of integers from 0."""
    if part.shape != (hypergraph.num_nodes,) or part.is_floating_point() or bool((part < 0).any()):
        raise ValueError(
            f"expected the worker of every node, integers >= 0 ({hypergraph.num_nodes},), got {part.dtype} "
            f"{tuple(part.shape)}"
        )
    workers = int(part.max()) + 1 if part.numel() else 0
    sizes, node = hypergraph.sizes(), hypergraph.indices.long()
    hyperedge = hypergraph.incidence.structure.rows
    at_end = (node == s[hyperedge]) | (node == i[hyperedge])
    # Members, ends and mediators of every hyperedge by worker; those of one node add nothing and are left out.
    several = sizes[hyperedge] > 1
    place = hyperedge * workers + part.long()[node]

    def counted(chosen: Tensor) -> Tensor:
        found = torch.bincount(place[chosen & several], minlength=hypergraph.num_hyperedges * workers)
        return found.view(hypergraph.num_hyperedges, workers)

    members, ends, mediators = counted(torch.ones_like(at_end)), counted(at_end), counted(~at_end)
    if not members.numel():
        return HypergraphExchange(workers, 0, 0, 0)
    other = members > 0
    other[torch.arange(len(members)), members.argmax(1)] = False
    sent = int(other.sum()) + int((other & (ends > 0)).sum())
    back = int((other & (ends > 0)).sum()) + int((other & (mediators > 0)).sum())
    return HypergraphExchange(workers, int(other.any(1).sum()), sent, back)
