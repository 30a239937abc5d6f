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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from moiety.graph.graph import Graph
from moiety.graph.hetero import HeteroGraph
from moiety.graph.hetero_sampling import Fanouts, HeteroSample, fanouts_of, sample_hetero_neighbors
from moiety.graph.partitioning import Partition, partition
from moiety.graph.sampling import Sample, key_of, node_numbers, sample_neighbors

__all__ = ["Batch", "ClusterBatch", "ClusterLoader", "HeteroBatch", "NeighborLoader"]


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
class HeteroBatch:
    """A sampled neighbourhood of nodes of one type, the first `batch_size` rows of that type.

    ``x`` and ``y``: by type of nodes, of those types that the loader was given some of; ``graph``: all edges of the
    batch, for `moiety.nn.HeteroConv`; numbers, hops and edge_index are those of ``sample``.
    """

    sample: HeteroSample
    x: dict[str, Tensor]
    y: dict[str, Tensor]
    batch_size: int

    @property
    def graph(self) -> HeteroGraph:
        return self.sample.graph


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
            order = order[torch.randperm(count, generator=torch.Generator().manual_seed(key_of(self.seed, epoch)))]
        # Where ranks do not divide the items, the first of the order come twice, as in DistributedSampler.
        mine = order[torch.arange(self.rank, per_rank * self.world_size, self.world_size) % max(count, 1)]
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in range(first, len(self), step):
            yield (
                key_of(self.seed, epoch, self.rank, batch),
                mine[batch * self.batch_size : (batch + 1) * self.batch_size],
            )


class NeighborLoader(_Shares):
    """Batches of seeds with their sampled k-hop neighbourhoods; needs neither pyg-lib nor torch-sparse.

    `data` is a `Graph`, with features `x` (nodes, ...) and labels `y` (nodes, ...) beside it, or a torch_geometric
    `Data`. A Graph yields `Batch`es; a Data yields Data as PyG's loader does: node and edge attributes are those of the
    batch, with n_id, e_id (positions in ``data.edge_index``), batch_size and input_id, and the `Sample`, whose
    blocks moiety's layers read, as ``sample``.

    Where nodes and edges have types, `data` is a `HeteroGraph`, with `x` and `y` by type of nodes, and yields
    `HeteroBatch`es, or a `HeteroData`, and yields HeteroData with those of the batch by type and relation.

    - ``fanouts``: edges drawn for every node of each hop, -1 for all (PyG: num_neighbors); with types also by relation.
    - ``input_nodes``: the seeds, numbers (n,) or a mask (nodes,); all nodes by default. With types: (type, seeds), or
      the type, for all of its nodes.
    - ``replace``, ``seed``: as in `sample_neighbors`; draws differ between epochs, ranks and batches.
    - ``rank``, ``world_size``: by default those of torch.distributed. Where ranks do not divide the seeds, some seeds
      come twice, or with ``drop_last`` some not at all.
    """

    def __init__(
        self,
        data: Any,
        fanouts: Fanouts,
        input_nodes: Tensor | str | tuple[str, Tensor | None] | None = None,
        batch_size: int = 1,
        shuffle: bool = False,
        x: Tensor | Mapping[str, Tensor] | None = None,
        y: Tensor | Mapping[str, Tensor] | None = None,
        replace: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, shuffle, drop_last, seed, rank, world_size)
        self.replace, self.kind = replace, ""
        self.data = None if isinstance(data, Graph | HeteroGraph) else data
        if self.data is not None and (x is not None or y is not None):
            raise ValueError("NeighborLoader: x and y go with a Graph; a Data has its own")
        seeds = input_nodes
        if isinstance(data, HeteroGraph) or hasattr(data, "edge_types"):
            self.graph: Graph | HeteroGraph = data if isinstance(data, HeteroGraph) else HeteroGraph.from_pyg(data)
            self.kind, seeds = (input_nodes, None) if isinstance(input_nodes, str) else _typed(input_nodes)
            if self.kind not in self.graph.num_nodes:
                kinds = ", ".join(self.graph.num_nodes)
                raise ValueError(f"NeighborLoader: expected input_nodes of a type among {kinds}, got {self.kind!r}")
            nodes = self.graph.num_nodes[self.kind]
            self.fanouts: Any = fanouts_of(self.graph, fanouts)
            counts = dict(self.graph.num_nodes)
            self.x, self.y = (_by_type(name, values, counts) for name, values in (("x", x), ("y", y)))
        else:
            self.graph = data if isinstance(data, Graph) else Graph.from_pyg(data)
            nodes = self.graph.num_nodes
            if isinstance(fanouts, Mapping) or isinstance(input_nodes, str | tuple):
                raise ValueError("NeighborLoader: fan-outs by relation and seeds of a type go with a HeteroGraph")
            self.fanouts = tuple(int(f) for f in fanouts)
            if not self.fanouts or any(f < 1 and f != -1 for f in self.fanouts):
                raise ValueError(f"NeighborLoader: expected fan-outs >= 1 or -1, one a hop, got {self.fanouts}")
            self.x, self.y = (
                _by_type(name, {"": values}, {"": nodes}) if values is not None else {}
                for name, values in (("x", cast(Tensor | None, x)), ("y", cast(Tensor | None, y)))
            )
        self.input_nodes = torch.arange(nodes) if seeds is None else _seeds(cast(Tensor, seeds), nodes)

    def _count(self) -> int:
        return self.input_nodes.numel()

    def __iter__(self) -> Iterator[Any]:
        for key, positions in self._batches():
            seeds = self.input_nodes[positions]
            if isinstance(self.graph, HeteroGraph):
                made = sample_hetero_neighbors(self.graph, {self.kind: seeds}, self.fanouts, self.replace, key)
                if self.data is not None:
                    yield self._as_hetero_data(made, positions)
                else:
                    x, y = ({k: v[made.nodes[k]] for k, v in of.items()} for of in (self.x, self.y))
                    yield HeteroBatch(made, x, y, seeds.numel())
                continue
            sample = sample_neighbors(self.graph, seeds, self.fanouts, self.replace, key)
            if self.data is not None:
                yield self._as_data(sample, positions)
            else:
                yield Batch(sample, _rows(self.x.get(""), sample.nodes), _rows(self.y.get(""), sample.nodes))

    def _as_data(self, sample: Sample, input_id: Tensor) -> Any:
        data, graph = cast(Any, self.data), cast(Graph, self.graph)
        edges = sample.edges if graph.edge_order is None else graph.edge_order[sample.edges]
        batch = type(data)()
        _copy(data, batch, data, sample.nodes, edges)
        batch.edge_index, batch.num_nodes = sample.edge_index, sample.nodes.numel()
        batch.n_id, batch.e_id, batch.input_id = sample.nodes, edges, input_id
        batch.batch_size = sample.num_seeds
        batch.num_sampled_nodes = [sample.hops[0], *(b - a for a, b in zip(sample.hops, sample.hops[1:], strict=False))]
        batch.num_sampled_edges = list(sample.edges_per_hop)
        batch.sample = sample
        return batch

    def _as_hetero_data(self, sample: HeteroSample, input_id: Tensor) -> Any:
        data, graph = cast(Any, self.data), cast(HeteroGraph, self.graph)
        batch = type(data)()
        for key, value in data._global_store.to_dict().items():
            batch[key] = value
        for kind, nodes in sample.nodes.items():
            _copy(data[kind], batch[kind], data[kind], nodes, None)
            batch[kind].num_nodes, batch[kind].n_id = nodes.numel(), nodes
            batch[kind].num_sampled_nodes = sample.nodes_per_hop[kind]
        for relation in graph:
            order, edges = graph[relation].edge_order, sample.edges[relation]
            edges = edges if order is None else order[edges]
            store = batch[relation]
            _copy(data[relation], store, data[relation], None, edges)
            store.edge_index, store.e_id = sample.edge_index[relation], edges
            store.num_sampled_edges = sample.edges_per_hop[relation]
        batch[self.kind].input_id, batch[self.kind].batch_size = input_id, input_id.numel()
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


def _typed(seeds: Any) -> tuple[str, Tensor | None]:
    if isinstance(seeds, tuple) and len(seeds) == 2 and isinstance(seeds[0], str):
        return seeds
    raise ValueError("NeighborLoader: expected input_nodes (type, seeds) or a type, as nodes have types here")


def _by_type(name: str, values: Any, counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Features or labels by type; the type of nodes without types is ""."""
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"NeighborLoader: expected {name} by type of nodes, got {type(values).__name__}")
    for kind, of in (values or {}).items():
        if kind not in counts or of.shape[:1] != (counts[kind],):
            nodes = f"{counts[kind]} {kind} nodes" if kind else f"{counts[kind]} nodes"
            raise ValueError(f"NeighborLoader: expected {name} of {nodes.replace('  ', ' ')}, got {tuple(of.shape)}")
    return dict(values or {})


def _copy(source: Any, target: Any, store: Any, nodes: Tensor | None, edges: Tensor | None) -> None:
    """Attributes of nodes and edges that a batch has; others stay as they are."""
    for key, value in source.to_dict().items():
        if key in ("edge_index", "num_nodes"):
            continue
        if nodes is not None and isinstance(value, Tensor) and store.is_node_attr(key):
            value = value[nodes]
        elif edges is not None and isinstance(value, Tensor) and store.is_edge_attr(key):
            value = value[edges]
        target[key] = value


def _rows(values: Tensor | None, nodes: Tensor) -> Tensor | None:
    return None if values is None else values[nodes]
