"""Mini-batches of one graph: sampled neighbourhoods (GraphSAGE) and merged clusters (Cluster-GCN).

Both loaders are iterable datasets: loop over them as they are, or hand them to ``torch.utils.data.DataLoader(loader,
batch_size=None, num_workers=...)``, which shares their batches among its workers. Under torch.distributed every rank
gets its own share of the seeds or clusters, and all ranks get equally many batches. The order of an epoch and every
draw depend on the loader's seed alone. Each loop is one epoch further than the last, or the one that `set_epoch` said;
a DataLoader's workers loop over copies, so with workers call `set_epoch` before every loop (and leave
``persistent_workers`` off), as for a DistributedSampler.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from moiety.graph.graph import Graph
from moiety.graph.partitioning import Partition, partition
from moiety.graph.sampling import Sample, node_numbers, sample_neighbors

__all__ = ["Batch", "ClusterBatch", "ClusterLoader", "NeighborLoader"]


@dataclass(frozen=True, eq=False)
class Batch:
    """A sampled neighbourhood. Names are PyG's; the first `batch_size` rows are the seeds.

    - ``x``, ``y``: features and labels of its nodes, None where the loader has none.
    - ``n_id`` int64: the graph's number of every node; ``e_id``: the position of every edge in the graph's CSR order.
    - ``edge_index`` int64 (2, edges) in the batch's numbers, for PyG's layers; ``blocks``: one graph a layer, for
      moiety's.
    """

    sample: Sample
    x: Tensor | None
    y: Tensor | None

    @property
    def batch_size(self) -> int:
        return self.sample.num_seeds

    @property
    def n_id(self) -> Tensor:
        return self.sample.nodes

    @property
    def e_id(self) -> Tensor:
        return self.sample.edges

    @property
    def blocks(self) -> tuple[Graph, ...]:
        return self.sample.blocks

    @property
    def edge_index(self) -> Tensor:
        return self.sample.edge_index


@dataclass(frozen=True, eq=False)
class ClusterBatch:
    """Some clusters and all edges among their nodes: ``graph``, ``n_id``, ``x`` and ``y``."""

    graph: Graph
    n_id: Tensor
    x: Tensor | None
    y: Tensor | None


class _Shares(IterableDataset[Any], ABC):
    """Items [0, count) in the order of an epoch, shared among ranks and cut into batches."""

    def __init__(
        self, batch_size: int, shuffle: bool, drop_last: bool, seed: int, rank: int | None, world_size: int | None
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"loader: expected batch_size >= 1, got {batch_size}")
        joined = dist.is_available() and dist.is_initialized()
        self.world_size = world_size if world_size is not None else dist.get_world_size() if joined else 1
        self.rank = rank if rank is not None else dist.get_rank() if joined else 0
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"loader: expected a rank in [0, {self.world_size}), got {self.rank}")
        self.batch_size, self.shuffle, self.drop_last, self.seed = batch_size, shuffle, drop_last, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next loop is."""
        self.epoch = epoch

    @abstractmethod
    def _count(self) -> int:
        """Items of all ranks."""

    def _per_rank(self) -> int:
        count = self._count()
        return count // self.world_size if self.drop_last else -(-count // self.world_size)

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        items = self._per_rank()
        return items // self.batch_size if self.drop_last else -(-items // self.batch_size)

    def _batches(self) -> Iterator[tuple[int, Tensor]]:
        """The numbers of this rank's batches that fall to this worker, with their items' positions."""
        count, per_rank = self._count(), self._per_rank()
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = torch.arange(count)
        if self.shuffle:
            order = order[torch.randperm(count, generator=torch.Generator().manual_seed(_key(self.seed, epoch)))]
        # Where ranks do not divide the items, the first of the order come twice, as in DistributedSampler.
        mine = order[torch.arange(self.rank, per_rank * self.world_size, self.world_size) % max(count, 1)]
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in range(first, len(self), step):
            yield (
                _key(self.seed, epoch, self.rank, batch),
                mine[batch * self.batch_size : (batch + 1) * self.batch_size],
            )


class NeighborLoader(_Shares):
    """Batches of seeds with their sampled k-hop neighbourhoods; needs neither pyg-lib nor torch-sparse.

    `data` is a `Graph`, with features `x` (nodes, ...) and labels `y` (nodes, ...) beside it, or a torch_geometric
    `Data`. A Graph yields `Batch`es; a Data yields Data as PyG's loader does: node and edge attributes are those of the
    batch, with n_id, e_id (positions in ``data.edge_index``), batch_size and input_id, and the `Sample`, whose
    blocks moiety's layers read, as ``sample``.

    - ``fanouts``: edges drawn for every node of each hop, -1 for all (PyG: num_neighbors).
    - ``input_nodes``: the seeds, numbers (n,) or a mask (nodes,); all nodes by default.
    - ``replace``, ``seed``: as in `sample_neighbors`; draws differ between epochs, ranks and batches.
    - ``rank``, ``world_size``: by default those of torch.distributed. Where ranks do not divide the seeds, some seeds
      come twice, or with ``drop_last`` some not at all.
    """

    def __init__(
        self,
        data: Any,
        fanouts: Sequence[int],
        input_nodes: Tensor | None = None,
        batch_size: int = 1,
        shuffle: bool = False,
        x: Tensor | None = None,
        y: Tensor | None = None,
        replace: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, shuffle, drop_last, seed, rank, world_size)
        self.data = None if isinstance(data, Graph) else data
        self.graph = data if isinstance(data, Graph) else Graph.from_pyg(data)
        if self.data is not None and (x is not None or y is not None):
            raise ValueError("NeighborLoader: x and y go with a Graph; a Data has its own")
        self.fanouts, self.replace = tuple(int(f) for f in fanouts), replace
        if not self.fanouts or any(f < 1 and f != -1 for f in self.fanouts):
            raise ValueError(f"NeighborLoader: expected fan-outs >= 1 or -1, one a hop, got {self.fanouts}")
        nodes = self.graph.num_nodes
        for name, values in (("x", x), ("y", y)):
            if values is not None and values.shape[:1] != (nodes,):
                raise ValueError(f"NeighborLoader: expected {name} of {nodes} nodes, got {tuple(values.shape)}")
        self.x, self.y = x, y
        self.input_nodes = torch.arange(nodes) if input_nodes is None else _seeds(input_nodes, nodes)

    def _count(self) -> int:
        return self.input_nodes.numel()

    def __iter__(self) -> Iterator[Any]:
        for key, positions in self._batches():
            seeds = self.input_nodes[positions]
            sample = sample_neighbors(self.graph, seeds, self.fanouts, self.replace, key)
            if self.data is not None:
                yield self._as_data(sample, positions)
            else:
                yield Batch(sample, _rows(self.x, sample.nodes), _rows(self.y, sample.nodes))

    def _as_data(self, sample: Sample, input_id: Tensor) -> Any:
        data = cast(Any, self.data)
        edges = sample.edges if self.graph.edge_order is None else self.graph.edge_order[sample.edges]
        batch = type(data)()
        for key, value in data.to_dict().items():
            if key == "edge_index" or key == "num_nodes":
                continue
            if isinstance(value, Tensor) and data.is_node_attr(key):
                value = value[sample.nodes]
            elif isinstance(value, Tensor) and data.is_edge_attr(key):
                value = value[edges]
            batch[key] = value
        batch.edge_index, batch.num_nodes = sample.edge_index, sample.nodes.numel()
        batch.n_id, batch.e_id, batch.input_id = sample.nodes, edges, input_id
        batch.batch_size = sample.num_seeds
        batch.num_sampled_nodes = [sample.hops[0], *(b - a for a, b in zip(sample.hops, sample.hops[1:], strict=False))]
        batch.num_sampled_edges = list(sample.edges_per_hop)
        batch.sample = sample
        return batch


class ClusterLoader(_Shares):
    """Cluster-GCN (W.-L. Chiang et al., KDD 2019, algorithm 1): batches of `batch_size` random clusters, merged.

    `clusters` is a partition, or the number of parts for one by ``partition(graph, clusters)``. A batch's graph has all
    edges among the nodes of its clusters, those between clusters included (the paper's stochastic multiple partitions,
    section 3.2).
    """

    def __init__(
        self,
        graph: Graph,
        clusters: Partition | int,
        batch_size: int = 1,
        shuffle: bool = True,
        x: Tensor | None = None,
        y: Tensor | None = None,
        drop_last: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, shuffle, drop_last, seed, rank, world_size)
        self.graph, self.x, self.y = graph, x, y
        self.clusters = partition(graph, clusters, seed=seed) if isinstance(clusters, int) else clusters
        if self.clusters.num_nodes != graph.num_nodes:
            raise ValueError(
                f"ClusterLoader: expected a partition of {graph.num_nodes} nodes, got {self.clusters.num_nodes}"
            )
        # The nodes of every cluster, one after the other.
        self._members = torch.argsort(self.clusters.assignment, stable=True)
        self._ends = torch.cumsum(self.clusters.sizes, 0).tolist()

    def _count(self) -> int:
        return self.clusters.parts

    def _nodes(self, cluster: int) -> Tensor:
        return self._members[(self._ends[cluster - 1] if cluster else 0) : self._ends[cluster]]

    def __iter__(self) -> Iterator[ClusterBatch]:
        for _, chosen in self._batches():
            nodes = torch.cat([self._nodes(cluster) for cluster in chosen.tolist()])
            yield ClusterBatch(self.graph.subgraph(nodes), nodes, _rows(self.x, nodes), _rows(self.y, nodes))


def _seeds(values: Tensor, nodes: int) -> Tensor:
    if values.dtype is torch.bool and values.shape != (nodes,):
        raise ValueError(f"NeighborLoader: expected a mask of {nodes} nodes, got {tuple(values.shape)}")
    seeds = node_numbers("NeighborLoader: input_nodes", values)
    if seeds.numel() and (int(seeds.min()) < 0 or int(seeds.max()) >= nodes):
        raise ValueError(
            f"NeighborLoader: expected nodes in [0, {nodes}), got {int(seeds.min())} to {int(seeds.max())}"
        )
    return seeds


def _rows(values: Tensor | None, nodes: Tensor) -> Tensor | None:
    return None if values is None else values[nodes]


def _key(*numbers: int) -> int:
    """One number of 63 bits for several: a seed of each epoch, rank and batch."""
    key = 0
    for number in numbers:  # the mix of SplitMix64, as in csrc/graph/random.hpp
        key = (key ^ number) * 0x9E3779B97F4A7C15 % 2**64
        key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        key ^= key >> 27
    return key >> 1
