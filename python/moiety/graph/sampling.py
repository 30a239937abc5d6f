"""Neighbour sampling: the k-hop surroundings of some nodes, thinned out and numbered anew, as matrices for layers.

Needs neither pyg-lib nor torch-sparse. The algorithm and its guarantees are those of csrc/graph/sample.hpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from moiety._core import graph_sampling as _core
from moiety.graph.graph import Graph
from moiety.graph.structure import Structure

__all__ = ["Sample", "key_of", "node_numbers", "sample_neighbors"]


@dataclass(frozen=True, eq=False)
class Sample:
    """What `sample_neighbors` found: one matrix whose prefixes are the matrices of a network's layers.

    - ``nodes`` int64 (n,): the graph's number of each node here, the seeds first, then hop after hop.
    - ``hops``: ``hops[h]`` nodes lie within h hops; ``hops[0]`` are the seeds, ``hops[-1] == n``.
    - ``indptr`` int64, ``indices`` int32: compressed rows of the nodes within all hops but the last, sources numbered
      as here.
    - ``edges`` int64: the position of every edge in the CSR order of the graph.
    - ``weight``: the graph's weights of these edges, or None.
    """

    nodes: Tensor
    hops: tuple[int, ...]
    indptr: Tensor
    indices: Tensor
    edges: Tensor
    weight: Tensor | None = None

    @property
    def num_seeds(self) -> int:
        return self.hops[0]

    @cached_property
    def blocks(self) -> tuple[Graph, ...]:
        """A bipartite graph a layer, the first layer's first: its rows are the first of its columns.

        ``x = features[sample.nodes]``, then ``x = layer(x, block)`` for each; the last one gives the seeds' rows. The
        edge_order of a block holds positions in the CSR order of the whole graph.
        """
        return tuple(self._block(hop) for hop in range(len(self.hops) - 1, 0, -1))

    def _block(self, hop: int) -> Graph:
        rows, columns = self.hops[hop - 1], self.hops[hop]
        indptr = self.indptr[: rows + 1]
        count = int(indptr[-1])
        structure = Structure(indptr, self.indices[:count], columns)
        return Graph(structure, None if self.weight is None else self.weight[:count], self.edges[:count])

    @cached_property
    def edge_index(self) -> Tensor:
        """Sources and targets (2, edges) of all hops, int64, numbered as here: what PyG's layers take."""
        rows = torch.arange(self.indptr.numel() - 1)
        target = torch.repeat_interleave(rows, self.indptr.diff(), output_size=self.indices.numel())
        return torch.stack([self.indices.to(torch.int64), target])

    @property
    def edges_per_hop(self) -> tuple[int, ...]:
        """How many edges each hop drew; they follow each other in `edges`."""
        ends = [0, *(int(self.indptr[rows]) for rows in self.hops[:-1])]
        return tuple(b - a for a, b in pairwise(ends))


def sample_neighbors(
    graph: Graph,
    seeds: Tensor,
    fanouts: Sequence[int],
    replace: bool = False,
    seed: int = 0,
    threads: int | None = None,
) -> Sample:
    """Draw up to ``fanouts[h]`` incoming edges of every node that hop h reaches first, -1 for all of them.

    `seeds` (n,) are distinct nodes of the square graph. Without `replace` every subset of a node's edges is equally
    likely; with it, draws are independent. What is drawn for a node depends on (`seed`, node) alone: the same with any
    number of threads (None: torch's) and in any batch.
    """
    drawn = _core.sample_neighbors(
        graph.indptr.numpy(),
        graph.indices.numpy(),
        graph.num_cols,
        node_numbers("sample_neighbors: seeds", seeds).numpy(),
        [int(f) for f in fanouts],
        replace,
        seed % 2**64,
        torch.get_num_threads() if threads is None else threads,
    )
    nodes, indptr, indices, edges = (torch.from_numpy(drawn[k]) for k in (0, 2, 3, 4))
    weight = None if graph.weight is None else graph.weight[edges]
    return Sample(nodes, tuple(drawn[1]), indptr, indices, edges, weight)


def node_numbers(what: str, values: Tensor) -> Tensor:
    """`values` as contiguous int64 (n,) on the CPU; a mask (nodes,) of booleans becomes the numbers of its nodes."""
    if not isinstance(values, Tensor) or values.ndim != 1 or values.is_floating_point() or values.is_complex():
        came = f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"{what}: expected a tensor of node numbers (n,), got {came}")
    if values.device.type != "cpu":
        raise ValueError(f"{what}: expected nodes on the CPU, got {values.device}: call .cpu() first")
    if values.dtype is torch.bool:
        values = values.nonzero().squeeze(1)
    return values.to(torch.int64).contiguous()


def key_of(*numbers: int) -> int:
    """One number of 63 bits for several: a seed of each epoch, rank and batch, or relation."""
    key = 0
    for number in numbers:  # the mix of SplitMix64, as in csrc/graph/random.hpp
        key = (key ^ number) * 0x9E3779B97F4A7C15 % 2**64
        key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        key ^= key >> 27
    return key >> 1
