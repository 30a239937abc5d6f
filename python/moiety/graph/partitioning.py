"""Partitions of a graph over workers: of its nodes (edge cuts, "1D") or of its edges (vertex cuts, "2D").

A partition of nodes says which worker computes a node; what it costs are the features of other workers' nodes that
each one needs, its *halo*. A partition of edges says which worker aggregates along an edge; what it costs are the nodes
that have a *replica* on several workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from moiety._core import graph_sampling as _core
from moiety.graph.graph import Graph

__all__ = ["EdgePartition", "EdgeStatistics", "Partition", "PartitionStatistics", "partition", "partition_edges"]

NodeMethod = Literal["multilevel", "metis", "contiguous", "random"]
EdgeMethod = Literal["hdrf", "greedy", "grid", "random"]
Balance = Literal["nodes", "edges"]


@dataclass(frozen=True)
class PartitionStatistics:
    """What a partition of nodes costs.

    ``edge_cut``: edges whose source and target lie in different parts. ``halo[p]``: nodes of other parts that part p
    reads. ``nodes[p]``, ``edges[p]``: targets of part p and edges that enter them.
    """

    edge_cut: int
    halo: tuple[int, ...]
    nodes: tuple[int, ...]
    edges: tuple[int, ...]

    @property
    def node_imbalance(self) -> float:
        """The largest part over the mean."""
        return _imbalance(self.nodes)

    @property
    def edge_imbalance(self) -> float:
        """The largest number of edges over the mean: what the slowest worker of an aggregation waits for."""
        return _imbalance(self.edges)

    @property
    def replication_factor(self) -> float:
        """Copies of a node's features over all workers, its owner's included: 1 + halo / nodes."""
        return 1 + sum(self.halo) / max(1, sum(self.nodes))


@dataclass(frozen=True, eq=False)
class Partition:
    """The part of every node: ``assignment`` int32 (num_nodes,), in [0, parts)."""

    assignment: Tensor
    parts: int
    method: str = "given"

    def __post_init__(self) -> None:
        a = self.assignment
        if a.ndim != 1 or a.dtype not in (torch.int32, torch.int64) or a.device.type != "cpu":
            raise TypeError(f"partition: expected integers (num_nodes,) on the CPU, got {a.dtype} {tuple(a.shape)}")
        if self.parts < 1 or (a.numel() and (int(a.min()) < 0 or int(a.max()) >= self.parts)):
            extent = f"{int(a.min())} to {int(a.max())}" if a.numel() else "none"
            raise ValueError(f"partition: expected parts in [0, {self.parts}), got {extent}")

    @property
    def num_nodes(self) -> int:
        return self.assignment.numel()

    @property
    def sizes(self) -> Tensor:
        """Nodes of every part, int64 (parts,)."""
        return torch.bincount(self.assignment, minlength=self.parts)

    def nodes(self, part: int) -> Tensor:
        """The nodes of one part, int64, rising."""
        if not 0 <= part < self.parts:
            raise ValueError(f"partition: expected a part in [0, {self.parts}), got {part}")
        return (self.assignment == part).nonzero().squeeze(1)

    def statistics(self, graph: Graph) -> PartitionStatistics:
        """Exact counts, over the edges of `graph`."""
        _of_nodes(self, graph)
        assignment = self.assignment.to(torch.int64)
        source, target = graph.edge_index
        reader = assignment[target]
        remote = assignment[source] != reader
        pairs = torch.unique(reader[remote] * graph.num_cols + source[remote])
        halo = torch.bincount(pairs // graph.num_cols, minlength=self.parts)
        return PartitionStatistics(
            int(remote.sum()),
            tuple(halo.tolist()),
            tuple(self.sizes.tolist()),
            tuple(torch.bincount(reader, minlength=self.parts).tolist()),
        )


@dataclass(frozen=True)
class EdgeStatistics:
    """What a partition of edges costs: ``edges[p]`` edges and ``replicas[p]`` nodes in part p; ``nodes`` have edges."""

    edges: tuple[int, ...]
    replicas: tuple[int, ...]
    nodes: int

    @property
    def edge_imbalance(self) -> float:
        return _imbalance(self.edges)

    @property
    def replication_factor(self) -> float:
        """The mean number of parts that hold an edge of a node, over nodes that have edges."""
        return sum(self.replicas) / max(1, self.nodes)


@dataclass(frozen=True, eq=False)
class EdgePartition:
    """The part of every edge: ``assignment`` int32 (num_edges,) in the graph's CSR order."""

    assignment: Tensor
    parts: int
    method: str

    def statistics(self, graph: Graph) -> EdgeStatistics:
        """Exact counts; targets and sources of a bipartite graph are different nodes."""
        if self.assignment.numel() != graph.num_edges:
            raise ValueError(f"partition: expected {graph.num_edges} edges, got {self.assignment.numel()}")
        part = self.assignment.to(torch.int64)
        source, target = graph.edge_index
        first = 0 if graph.num_rows == graph.num_cols else graph.num_rows
        total = first + graph.num_cols
        pairs = torch.unique(torch.cat([part * total + target, part * total + first + source]))
        return EdgeStatistics(
            tuple(torch.bincount(part, minlength=self.parts).tolist()),
            tuple(torch.bincount(pairs // max(total, 1), minlength=self.parts).tolist()),
            int(torch.unique(pairs % max(total, 1)).numel()),
        )


def partition(
    graph: Graph,
    parts: int,
    method: NodeMethod = "multilevel",
    balance: Balance = "nodes",
    imbalance: float = 0.03,
    seed: int = 0,
) -> Partition:
    """Divide the nodes of a square graph into `parts`.

    - ``multilevel``: few cut edges; recursive bisection of csrc/graph/partition.hpp (Karypis, Kumar 1998).
    - ``metis``: the same aim by METIS; needs the package `pymetis`.
    - ``contiguous``: runs of equal weight in the order of numbers; good after `rcm_order`.
    - ``random``: equal numbers of nodes by chance; what the others are compared with.

    A part weighs at most (1 + `imbalance`) times its share; a node weighs 1, or with ``balance="edges"`` 1 plus the
    number of its incoming edges, which is what aggregation takes. The result depends on `seed` alone.
    """
    nodes = graph.num_nodes
    if not 1 <= parts <= max(nodes, 1):
        raise ValueError(f"partition: expected parts in [1, {nodes} nodes], got {parts}")
    if balance not in ("nodes", "edges"):
        raise ValueError(f"partition: expected balance 'nodes' or 'edges', got {balance!r}")
    weight = None if balance == "nodes" else graph.in_degrees() + 1
    if method == "multilevel":
        assignment = torch.from_numpy(
            _core.partition(
                graph.indptr.numpy(),
                graph.indices.numpy(),
                graph.num_cols,
                None if weight is None else weight.numpy(),
                parts,
                imbalance,
                seed % 2**64,
            )
        )
    elif method == "metis":
        assignment = _metis(graph, parts, weight, imbalance, seed)
    elif method == "contiguous":
        ends = torch.cumsum(torch.ones(nodes, dtype=torch.int64) if weight is None else weight, 0)
        total = int(ends[-1]) if nodes else 1
        assignment = ((ends - 1) * parts // total).clamp(max=parts - 1).to(torch.int32)
    elif method == "random":
        chance = torch.Generator().manual_seed(seed)
        assignment = (torch.arange(nodes) % parts)[torch.randperm(nodes, generator=chance)].to(torch.int32)
    else:
        raise ValueError(f"partition: expected multilevel, metis, contiguous or random, got {method!r}")
    return Partition(assignment, parts, method)


def partition_edges(
    graph: Graph, parts: int, method: EdgeMethod = "hdrf", balance: float = 1.1, imbalance: float = 0.03, seed: int = 0
) -> EdgePartition:
    """Divide the edges of a graph into `parts` by a vertex cut, as csrc/graph/vertex_cut.hpp has it.

    ``hdrf`` (Petroni et al. 2015) and ``greedy`` (PowerGraph, 2012) stream over the edges, weigh replicas against sizes
    with `balance` > 0, and let no part hold more than (1 + `imbalance`) times its share; ``grid`` is the 2D layout of
    sparse matrices; ``random`` is what the others are compared with.
    """
    assignment = _core.vertex_cut(
        graph.indptr.numpy(), graph.indices.numpy(), graph.num_cols, method, parts, balance, imbalance, seed % 2**64
    )
    return EdgePartition(torch.from_numpy(assignment), parts, method)


def _metis(graph: Graph, parts: int, weight: Tensor | None, imbalance: float, seed: int) -> Tensor:
    try:
        import pymetis
    except ImportError as error:
        raise ImportError("partition: method 'metis' needs the package pymetis; 'multilevel' needs nothing") from error
    start, ends, edge_weight = _core.undirected(graph.indptr.numpy(), graph.indices.numpy(), graph.num_cols)
    _, part = pymetis.part_graph(
        parts,
        pymetis.CSRAdjacency(start, ends),
        eweights=edge_weight,
        vweights=None if weight is None else weight.numpy(),
        options=pymetis.Options(seed=seed % 2**31, ufactor=max(1, round(1000 * imbalance))),
    )
    return torch.tensor(part, dtype=torch.int32)


def _of_nodes(part: Partition, graph: Graph) -> None:
    if part.num_nodes != graph.num_nodes:
        raise ValueError(f"partition: expected one of {graph.num_nodes} nodes, got one of {part.num_nodes}")


def _imbalance(counts: tuple[int, ...]) -> float:
    total = sum(counts)
    return max(counts) * len(counts) / total if total else 1.0
