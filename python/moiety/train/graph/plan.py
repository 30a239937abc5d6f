"""What a partition makes workers send each other: the halo of every part, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from moiety.graph import Graph
from moiety.graph.partitioning import Partition
from moiety.graph.structure import Structure

__all__ = ["HaloPlan"]


@dataclass(frozen=True, eq=False)
class HaloPlan:
    """Part `rank`'s share of a graph, and who needs which of its rows.

    - ``own`` int64: its nodes, rising; ``halo`` int64: nodes of other parts that it reads, by owner, then rising.
    - ``send_index`` int64: positions in `own` of the rows that it sends, by receiver; ``send_counts[q]`` to part q.
    - ``receive_counts[q]``: rows that come from part q; they follow each other in `halo`.

    Built from the graph alone: all parts come to plans that fit each other without a word.
    """

    rank: int
    parts: int
    own: Tensor
    halo: Tensor
    send_index: Tensor
    send_counts: tuple[int, ...]
    receive_counts: tuple[int, ...]
    _number: Tensor  # of every node of the graph among own and halo, -1 for others

    @classmethod
    def build(cls, graph: Graph, partition: Partition, rank: int) -> HaloPlan:
        """Of the part `rank`. O(edges)."""
        if partition.num_nodes != graph.num_nodes:
            raise ValueError(f"halo: expected a partition of {graph.num_nodes} nodes, got {partition.num_nodes}")
        if not 0 <= rank < partition.parts:
            raise ValueError(f"halo: expected a rank in [0, {partition.parts}), got {rank}")
        part, nodes, parts = partition.assignment.to(torch.int64), graph.num_nodes, partition.parts
        source, target = graph.edge_index
        owner, reader = part[source], part[target]
        remote = owner != reader
        # Pairs (reader, owner, node) that some edge asks for, once each and in this order.
        pairs = torch.unique((reader[remote] * parts + owner[remote]) * nodes + source[remote])
        of_reader, of_owner, node = pairs // (parts * nodes), pairs // nodes % parts, pairs % max(nodes, 1)
        own = partition.nodes(rank)
        halo = node[of_reader == rank]
        number = torch.full((nodes,), -1)
        number[own] = torch.arange(own.numel())
        number[halo] = own.numel() + torch.arange(halo.numel())
        sends, receives = of_owner == rank, of_reader == rank
        return cls(
            rank,
            parts,
            own,
            halo,
            number[node[sends]],
            tuple(torch.bincount(of_reader[sends], minlength=parts).tolist()),
            tuple(torch.bincount(of_owner[receives], minlength=parts).tolist()),
            number,
        )

    @cached_property
    def columns(self) -> Tensor:
        """The node of every column of a block: own, then halo."""
        return torch.cat([self.own, self.halo])

    def block(self, graph: Graph) -> Graph:
        """Rows of `graph` for the own nodes, over own and halo columns; weights come along.

        `graph` may have other edges within parts than the one that the plan was built of, such as self-loops.
        """
        start, degree = graph.indptr[self.own], graph.in_degrees()[self.own]
        indptr = torch.cat([torch.zeros(1, dtype=torch.int64), degree.cumsum(0)])
        row = torch.repeat_interleave(torch.arange(self.own.numel()), degree)
        edge = start[row] + torch.arange(row.numel()) - indptr[row]
        column = self._number[graph.indices[edge].to(torch.int64)]
        if bool((column < 0).any()):
            raise ValueError("halo: the graph has an edge between parts that the plan does not know")
        structure = Structure(indptr, column.to(graph.indices.dtype), self.columns.numel())
        return Graph(structure, None if graph.weight is None else graph.weight[edge], edge)

    @property
    def rows_sent(self) -> int:
        return sum(self.send_counts)

    @property
    def rows_received(self) -> int:
        return sum(self.receive_counts)

    def bytes_forward(self, width: int, itemsize: int = 4) -> int:
        """Bytes that this part sends so that all can read `width` features of their halo once."""
        return self.rows_sent * width * itemsize

    def bytes_backward(self, width: int, itemsize: int = 4) -> int:
        """Bytes that it sends so that owners learn the gradients of `width` features."""
        return self.rows_received * width * itemsize
