"""Neighbour sampling where nodes and edges have types: k hops over all relations at once, numbered anew by type.

The semantics are those of PyTorch Geometric's loader: hop h takes, of every type, the nodes that hop h - 1 found first,
and draws for each of them by relation, in the order of relations; what is new gets the next number of its type. Draws
are the kernel's of csrc/graph/sample.hpp, a call a relation and hop; numbers are given by a table a type, which stays
with the graph, so that a sample costs what it draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moiety._core import graph_sampling as _core
from moiety.graph.graph import Graph
from moiety.graph.hetero import HeteroGraph, Relation
from moiety.graph.sampling import key_of, node_numbers
from moiety.graph.structure import Structure

__all__ = ["Fanouts", "HeteroSample", "fanouts_of", "sample_hetero_neighbors"]

Fanouts = Sequence[int] | Mapping[Relation, Sequence[int]]


@dataclass(frozen=True, eq=False)
class HeteroSample:
    """What `sample_hetero_neighbors` found, by type of nodes and by relation, of which all are there.

    - ``nodes[t]`` int64 (n_t,): the graph's number of each node here, the seeds first, then hop after hop.
    - ``edge_index[r]`` int64 (2, e_r): sources and targets, numbered as here within their types; by target.
    - ``edges[r]`` int64 (e_r,): the position of every edge in the CSR order of the relation's graph.
    - ``nodes_per_hop[t]``: seeds, then how many nodes each hop found; ``edges_per_hop[r]``: how many it drew.
    - ``weight[r]``: the weights of these edges, where the relation's graph has some.
    """

    nodes: dict[str, Tensor]
    edge_index: dict[Relation, Tensor]
    edges: dict[Relation, Tensor]
    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[Relation, list[int]]
    weight: dict[Relation, Tensor]

    @cached_property
    def graph(self) -> HeteroGraph:
        """All of it, for `moiety.nn.HeteroConv`: ``x = {t: features[t][nodes[t]]}``; each layer reads every hop, and
        the seeds' results are the first rows. edge_order of a relation's graph holds positions in the whole one."""
        counts = {kind: nodes.numel() for kind, nodes in self.nodes.items()}
        graphs = {}
        for relation, (source, target) in self.edge_index.items():
            rows = torch.bincount(target, minlength=counts[relation[2]])
            indptr = torch.cat([rows.new_zeros(1), rows.cumsum(0)])
            structure = Structure(indptr, source.to(torch.int32), counts[relation[0]])
            graphs[relation] = Graph(structure, self.weight.get(relation), self.edges[relation])
        return HeteroGraph(graphs, counts)


class _Numbers:
    """The nodes of a type that a sample has, and their numbers in it."""

    def __init__(self, table: Tensor, seeds: Tensor) -> None:
        self.number = table  # -1 everywhere
        self.number[seeds] = torch.arange(seeds.numel())
        self.found = [seeds]  # hop after hop
        self.known = seeds.numel()

    def take(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers of distinct nodes, and those of them that are new."""
        fresh = nodes[self.number[nodes] < 0]
        self.number[fresh] = torch.arange(self.known, self.known + fresh.numel())
        self.known += fresh.numel()
        return self.number[nodes], fresh


def sample_hetero_neighbors(
    graph: HeteroGraph,
    seeds: Mapping[str, Tensor],
    fanouts: Fanouts,
    replace: bool = False,
    seed: int = 0,
    threads: int | None = None,
) -> HeteroSample:
    """Draw up to ``fanouts[h]``, or ``fanouts[relation][h]``, edges of a relation for every node that hop h reaches.

    Of edges that enter the node; -1 stands for all of them, 0 for none of this relation. `seeds` are distinct nodes
    (n,), or masks (nodes,), by type; a type without seeds is reached over relations only. What is drawn for a node
    depends on (`seed`, relation, node) alone.
    """
    hops = fanouts_of(graph, fanouts)
    for kind in seeds:
        if kind not in graph.num_nodes:
            raise ValueError(f"sample_hetero_neighbors: expected seeds of {', '.join(graph.num_nodes)}, got {kind!r}")
    starts = {kind: _seeds(kind, seeds.get(kind), count) for kind, count in graph.num_nodes.items()}
    numbers = {kind: _Numbers(graph.take_numbers(kind), start) for kind, start in starts.items()}
    columns: dict[Relation, list[Tensor]] = {relation: [] for relation in graph}
    rows: dict[Relation, list[Tensor]] = {relation: [] for relation in graph}
    edges: dict[Relation, list[Tensor]] = {relation: [] for relation in graph}
    threads = torch.get_num_threads() if threads is None else threads
    for hop in range(len(next(iter(hops.values()), ()))):
        new: dict[str, list[Tensor]] = {kind: [] for kind in numbers}
        before = {kind: n.known - n.found[-1].numel() for kind, n in numbers.items()}
        for which, (relation, one) in enumerate(graph.items()):
            frontier, fanout = numbers[relation[2]].found[-1], hops[relation][hop]
            if frontier.numel() == 0 or fanout == 0:
                empty = frontier.new_empty(0)
                drawn, sources, targets = empty, empty, empty
            else:
                nodes, indptr, indices, drawn = _draw(
                    graph, relation, one, frontier, fanout, replace, key_of(seed, which), threads
                )
                number, fresh = numbers[relation[0]].take(nodes)
                new[relation[0]].append(fresh)
                sources = number[indices]
                first = before[relation[2]]
                targets = torch.repeat_interleave(torch.arange(first, first + frontier.numel()), indptr.diff())
            columns[relation].append(sources)
            rows[relation].append(targets)
            edges[relation].append(drawn)
        for kind, n in numbers.items():
            n.found.append(torch.cat(new[kind]) if new[kind] else n.found[0].new_empty(0))
    chosen = {relation: torch.cat(parts) for relation, parts in edges.items()}
    reached = {kind: torch.cat(n.found) for kind, n in numbers.items()}
    for kind, nodes in reached.items():
        numbers[kind].number[nodes] = -1
        graph.give_numbers(kind, numbers[kind].number)
    return HeteroSample(
        nodes=reached,
        edge_index={r: torch.stack([torch.cat(columns[r]), torch.cat(rows[r])]) for r in graph},
        edges=chosen,
        nodes_per_hop={kind: [part.numel() for part in n.found] for kind, n in numbers.items()},
        edges_per_hop={relation: [part.numel() for part in parts] for relation, parts in edges.items()},
        weight={r: one.weight[chosen[r]] for r, one in graph.items() if one.weight is not None},
    )


def fanouts_of(graph: HeteroGraph, fanouts: Fanouts) -> dict[Relation, tuple[int, ...]]:
    """Of every relation, one a hop; ValueError for what does not fit."""
    given = fanouts if isinstance(fanouts, Mapping) else dict.fromkeys(graph, fanouts)
    if set(given) != set(graph):
        raise ValueError(f"fan-outs: expected those of the relations {list(graph)}, got those of {list(given)}")
    hops = {relation: tuple(int(f) for f in given[relation]) for relation in graph}
    if len({len(of) for of in hops.values()}) > 1 or any(not of or min(of) < -1 for of in hops.values()):
        raise ValueError(f"fan-outs: expected as many for every relation, one a hop, each -1, 0 or more, got {hops}")
    return hops


def _seeds(kind: str, seeds: Tensor | None, count: int) -> Tensor:
    if seeds is None:
        return torch.empty(0, dtype=torch.int64)
    if seeds.dtype is torch.bool and seeds.shape != (count,):
        raise ValueError(
            f"sample_hetero_neighbors: expected a mask of {count} {kind!r} nodes, got {tuple(seeds.shape)}"
        )
    nodes = node_numbers(f"sample_hetero_neighbors: seeds of {kind!r}", seeds)
    if nodes.numel() and (int(nodes.min()) < 0 or int(nodes.max()) >= count):
        low, high = int(nodes.min()), int(nodes.max())
        raise ValueError(f"sample_hetero_neighbors: expected {kind!r} nodes in [0, {count}), got {low} to {high}")
    if torch.unique(nodes).numel() != nodes.numel():
        raise ValueError(f"sample_hetero_neighbors: expected distinct seeds of {kind!r}")
    return nodes


def _draw(
    graph: HeteroGraph,
    relation: Relation,
    one: Graph,
    frontier: Tensor,
    fanout: int,
    replace: bool,
    key: int,
    threads: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distinct sources, and for each drawn edge its row's pointers, its place among the sources and its position.

    The kernel takes square graphs: here the sources are its first nodes, which no edge enters, and the targets follow.
    """
    indptr = graph.sampling_indptr(relation)
    count = one.num_cols
    drawn = _core.sample_neighbors(
        indptr.numpy(),
        one.indices.numpy(),
        count + one.num_rows,
        (frontier + count).numpy(),
        [fanout],
        replace,
        key,
        threads,
    )
    nodes, pointers, indices, edges = (torch.from_numpy(drawn[k]) for k in (0, 2, 3, 4))
    seeds = frontier.numel()
    return nodes[seeds:], pointers, indices.to(torch.int64) - seeds, edges
