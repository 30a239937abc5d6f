"""What an epoch of training does: steps on the whole graph, on mini-batches, or on parts of it over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from moiety.data.graph_data import GraphData
from moiety.graph import ClusterLoader, Graph, NeighborLoader, partition

from ..distributed import world
from .config import BatchConfig

__all__ = ["Engine", "make_engine"]


class Engine(Protocol):
    def epoch(self, number: int, optimizer: Optimizer) -> float:
        """One epoch of steps, which depends on its number and the seed alone; the mean loss of a node."""


def make_engine(
    model: nn.Module, data: GraphData, config: BatchConfig, seed: int, label_smoothing: float = 0.0
) -> Engine:
    """The engine that the configuration asks for. Under torchrun every process makes one and all call it together."""
    if config.kind == "partitions":
        return Partitions(model, data, config, seed, label_smoothing)
    if world() > 1 and config.kind == "full":
        raise ValueError(
            f"{world()} processes cannot share a step on the whole graph: expected batches.kind partitions, neighbors "
            "or clusters"
        )
    kinds: dict[str, Callable[[GraphData, BatchConfig, int], Batches]] = {
        "full": Full,
        "neighbors": Neighbors,
        "clusters": Clusters,
    }
    return Local(model, kinds[config.kind](data, config, seed), label_smoothing)


@dataclass(frozen=True)
class Batch:
    """A graph with the features of its nodes, the nodes of it that the loss is on, and their labels."""

    graph: Graph
    x: Tensor | Graph
    nodes: Tensor  # positions
    y: Tensor


class Batches(Protocol):
    def epoch(self, number: int) -> Iterator[Batch]: ...


class Full:
    """All nodes, one step."""

    def __init__(self, data: GraphData, config: BatchConfig, seed: int) -> None:
        nodes = data.train.nonzero().flatten()
        self._batch = Batch(data.graph, data.x, nodes, data.y[nodes])

    def epoch(self, number: int) -> Iterator[Batch]:
        yield self._batch


class Neighbors:
    """Some of the nodes to train on with sampled neighbourhoods; processes share the nodes of an epoch.

    A batch is one graph among all nodes that were drawn, so that every model can run on it. Layers normalise by the
    degrees in it.
    """

    def __init__(self, data: GraphData, config: BatchConfig, seed: int) -> None:
        self._data = data
        nodes = data.train.nonzero().flatten()
        self._loader = NeighborLoader(
            data.graph, config.fanouts, nodes, min(config.size, len(nodes)), shuffle=True, seed=seed
        )

    def epoch(self, number: int) -> Iterator[Batch]:
        self._loader.set_epoch(number)
        for batch in self._loader:
            sample = batch.sample
            count = sample.nodes.numel()
            indptr = F.pad(sample.indptr, (0, count + 1 - sample.indptr.numel()), value=int(sample.indptr[-1]))
            graph = Graph.from_csr(indptr, sample.indices, sample.weight)
            seeds = torch.arange(batch.batch_size)
            yield Batch(graph, rows(self._data.x, sample.nodes), seeds, self._data.y[sample.nodes[: len(seeds)]])


class Clusters:
    """Some parts of a partition and all edges among their nodes; processes share the parts of an epoch."""

    def __init__(self, data: GraphData, config: BatchConfig, seed: int) -> None:
        self._data = data
        self._loader = ClusterLoader(data.graph, min(config.parts, data.num_nodes), config.size, seed=seed)

    def epoch(self, number: int) -> Iterator[Batch]:
        self._loader.set_epoch(number)
        for batch in self._loader:
            nodes = self._data.train[batch.n_id].nonzero().flatten()
            yield Batch(batch.graph, rows(self._data.x, batch.n_id), nodes, self._data.y[batch.n_id[nodes]])


class Local:
    """Steps on batches; several processes add up the gradients of theirs in every step."""

    def __init__(self, model: nn.Module, batches: Batches, label_smoothing: float) -> None:
        self._model, self._batches, self._smoothing = model, batches, label_smoothing

    def epoch(self, number: int, optimizer: Optimizer) -> float:
        total, seen = 0.0, 0.0
        for batch in self._batches.epoch(number):
            count = summed(len(batch.y))
            if not count:  # clusters without a node to train on
                continue
            optimizer.zero_grad(set_to_none=True)
            logits = self._model(batch.x, batch.graph)[batch.nodes]
            loss = F.cross_entropy(logits, batch.y, reduction="sum", label_smoothing=self._smoothing) / count
            loss.backward()  # type: ignore[no-untyped-call]
            if world() > 1:
                from moiety.train.graph.exchange import sum_gradients

                sum_gradients([p for p in self._model.parameters() if p.requires_grad])
            optimizer.step()
            total, seen = total + summed(loss.item()) * count, seen + count
        return total / max(seen, 1.0)


class Partitions:
    """Full-graph steps with a part a process and features of other parts exchanged in every layer; one process alone
    has all parts. Features of other parts may be as old as `staleness` says (`moiety.train.graph.Staleness`)."""

    def __init__(
        self, model: nn.Module, data: GraphData, config: BatchConfig, seed: int, label_smoothing: float
    ) -> None:
        from moiety.train.graph import InParts, PartitionParallel, Stages, Staleness

        parts = world() if world() > 1 else config.parts
        divided = partition(data.graph, parts, seed=seed)
        stages, bounds = Stages.of(model), Staleness(*config.staleness)
        self._net: nn.Module
        self._finish: Callable[[], None] | None = None  # adds up gradients
        if world() > 1:
            self._net = parallel = PartitionParallel(stages, data.graph, divided, bounds)
            self._finish, own = parallel.finish, parallel.plan.own
        else:
            self._net, own = InParts(stages, data.graph, divided, bounds), torch.arange(data.num_nodes)
        self._x, self._train = data.dense()[own], data.train[own]
        self._y, self._count = data.y[own][self._train], float(data.train.sum())
        self._smoothing = label_smoothing

    def epoch(self, number: int, optimizer: Optimizer) -> float:
        self._net.train()
        optimizer.zero_grad(set_to_none=True)
        logits = self._net(self._x)[self._train]
        loss = F.cross_entropy(logits, self._y, reduction="sum", label_smoothing=self._smoothing) / self._count
        loss.backward()  # type: ignore[no-untyped-call]
        if self._finish is not None:
            self._finish()
        optimizer.step()
        return summed(loss.item())


def summed(value: float) -> float:
    """Over all processes."""
    if world() == 1:
        return value
    import torch.distributed as dist

    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total)


def rows(x: Tensor | Graph, nodes: Tensor) -> Tensor | Graph:
    """The features of `nodes`, dense or sparse."""
    if isinstance(x, Tensor):
        return x.index_select(0, nodes)
    start, counts = x.indptr[nodes], x.in_degrees()[nodes]
    pointers = torch.zeros(len(nodes) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=pointers[1:])
    where = torch.arange(int(pointers[-1])) + torch.repeat_interleave(start - pointers[:-1], counts)
    weight = None if x.weight is None else x.weight[where]
    return Graph.from_csr(pointers, x.indices[where], weight, num_cols=x.num_cols)
