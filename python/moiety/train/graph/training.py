"""The loops: one function a schedule, from a model and a graph with labels to a trained model.

All of them train by Adam on the cross-entropy of the nodes in ``data.train`` and return what they measured. Under
torch.distributed every process calls the same function with the same model (the same seed) and data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.data.graph_data import GraphData
from moiety.graph import ClusterLoader, Graph, NeighborLoader, Partition, Sample
from moiety.train.graph.exchange import Counters, sum_gradients
from moiety.train.graph.macro import MacroPipeline
from moiety.train.graph.micro import MicroPipeline
from moiety.train.graph.partitioned import InParts, PartitionParallel
from moiety.train.graph.stages import Stages
from moiety.train.graph.staleness import Ledger, Staleness

__all__ = ["Result", "Settings", "cluster", "full_batch", "macro_pipeline", "partition_parallel", "sampled"]


@dataclass(frozen=True)
class Settings:
    """How long and how fast; `seed` decides the order of batches and what is sampled."""

    epochs: int = 100
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"settings: expected epochs >= 1, learning_rate > 0 and weight_decay >= 0, got {self.epochs}, "
                f"{self.learning_rate} and {self.weight_decay}"
            )


@dataclass(frozen=True)
class Result:
    """The loss of every epoch, the trained model's accuracy by mask, and what this process sent (None: nothing)."""

    losses: tuple[float, ...]
    accuracy: dict[str, float]
    counters: Counters | None = None
    ledger: Ledger | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counters = None if self.counters is None else asdict(self.counters)
        if counters is not None:
            counters["by_layer"] = {f"{way} h({layer})": n for (way, layer), n in counters["by_layer"].items()}
        oldest = None
        if self.ledger is not None:
            oldest = {kind: self.ledger.worst(kind) for kind in ("self", "local", "remote")}
        return {"losses": list(self.losses), "accuracy": self.accuracy, "counters": counters, "oldest_read": oldest}


def full_batch(model: nn.Module, data: GraphData, settings: Settings | None = None, chunks: int = 1) -> Result:
    """Every step on the whole graph; with `chunks` > 1 every layer is a `MicroPipeline` of so many chunks."""
    settings = settings or Settings()
    stages, x = Stages.of(model), data.dense()
    if chunks > 1:
        pipelines = [MicroPipeline(stages[k], chunks) for k in range(1, len(stages) + 1)]

        def forward() -> Tensor:
            h = stages.drop(0, stages.encoder(x))
            for k, pipeline in enumerate(pipelines, 1):
                h = stages.drop(k, pipeline(h, h, pipeline.operand(data.graph)))
            y: Tensor = stages.decoder(h)
            return y
    else:

        def forward() -> Tensor:
            y: Tensor = stages(x, data.graph)
            return y

    def epoch(optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(forward()[data.train], data.y[data.train])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.detach())

    return Result(_loop(stages, list(stages.parameters()), epoch, settings), accuracy(stages, data))


def sampled(
    model: nn.Module,
    data: GraphData,
    fanouts: Sequence[int],
    batch_size: int = 512,
    settings: Settings | None = None,
) -> Result:
    """Mini-batches of sampled neighbourhoods (GraphSAGE), one fan-out a layer; processes share the seeds of a batch.

    Layers that sum (GCN, GIN, SAGE with sum) weigh each drawn edge by degree / drawn, so that the sum over a sample is
    that over all edges in expectation.
    """
    settings = settings or Settings()
    stages, x = Stages.of(model), data.dense()
    stages.check_parts()
    if len(fanouts) != len(stages):
        raise ValueError(f"sampled: expected a fan-out for each of {len(stages)} layers, got {list(fanouts)}")
    operand = _one_operand(stages, data.graph)
    seeds = data.train.nonzero().squeeze(1)
    world = dist.get_world_size() if dist.is_initialized() else 1
    learning = [p for p in stages.parameters() if p.requires_grad]
    loader = NeighborLoader(operand, fanouts, seeds, batch_size, shuffle=True, seed=settings.seed)

    def epoch(optimizer: torch.optim.Optimizer) -> float:
        total = 0.0
        for batch in loader:
            optimizer.zero_grad()
            out = stages.on_blocks(x[batch.n_id], _unbiased(stages, operand, batch.sample))
            loss = F.cross_entropy(out, data.y[batch.n_id[: batch.batch_size]])
            loss.backward()  # type: ignore[no-untyped-call]
            if world > 1:
                sum_gradients(learning, scale=1 / world)
            optimizer.step()
            total += float(loss.detach()) / len(loader)
        return _mean(total, world)

    return Result(_loop(stages, list(stages.parameters()), epoch, settings), accuracy(stages, data))


def cluster(
    model: nn.Module,
    data: GraphData,
    clusters: Partition | int,
    batch_size: int = 1,
    settings: Settings | None = None,
) -> Result:
    """Cluster-GCN (arXiv 1905.07953): batches of merged clusters, normalised anew each; processes share the clusters.

    A batch without nodes to train on makes no step of its own, but takes part in those of other processes.
    """
    settings = settings or Settings()
    stages, x = Stages.of(model), data.dense()
    learning = [p for p in stages.parameters() if p.requires_grad]
    loader = ClusterLoader(data.graph, clusters, batch_size, seed=settings.seed)
    world = dist.get_world_size() if dist.is_initialized() else 1

    def epoch(optimizer: torch.optim.Optimizer) -> float:
        total = torch.zeros(2, dtype=torch.float64)
        for batch in loader:
            train = data.train[batch.n_id]
            count = torch.tensor(float(train.sum()))
            if world > 1:
                dist.all_reduce(count)
            if not count:
                continue
            optimizer.zero_grad()
            out = stages(x[batch.n_id], batch.graph)
            loss = F.cross_entropy(out[train], data.y[batch.n_id][train], reduction="sum") / count
            loss.backward()  # type: ignore[no-untyped-call]
            if world > 1:
                sum_gradients(learning)
            optimizer.step()
            total += torch.tensor([float(loss.detach() * count), float(count) / world], dtype=torch.float64)
        if world > 1:
            dist.all_reduce(total)
        return float(total[0] / total[1])

    return Result(_loop(stages, list(stages.parameters()), epoch, settings), accuracy(stages, data))


def partition_parallel(
    model: nn.Module,
    data: GraphData,
    parts: Partition,
    bounds: Staleness | None = None,
    settings: Settings | None = None,
    overlap: bool = False,
    tagged: bool = False,
) -> Result:
    """Full-graph training with a part a process and features of other parts as old as `bounds` allows.

    One process alone has all parts (`InParts`), with the same results.
    """
    settings = settings or Settings()
    stages, x, train = Stages.of(model), data.dense(), data.train
    alone = not dist.is_initialized() or dist.get_world_size() == 1
    net: InParts | PartitionParallel
    if alone:
        net, own = InParts(stages, data.graph, parts, bounds), torch.arange(data.num_nodes)
    else:
        net = PartitionParallel(stages, data.graph, parts, bounds, overlap=overlap, tagged=tagged)
        own = net.plan.own
    x, train, y = x[own], train[own], data.y[own]
    count = float(data.train.sum())

    def epoch(optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x)[train], y[train], reduction="sum") / count
        loss.backward()  # type: ignore[no-untyped-call]
        if isinstance(net, PartitionParallel):
            net.finish()
        optimizer.step()
        total = loss.detach().clone()
        if not alone:
            dist.all_reduce(total)
        return float(total)

    losses = _loop(net, list(stages.parameters()), epoch, settings)
    counters = net.counters if isinstance(net, PartitionParallel) else None
    return Result(losses, _accuracy(net, x, y, {k: m[own] for k, m in _masks(data).items()}), counters, net.ledger)


def macro_pipeline(
    model: nn.Module,
    data: GraphData,
    chunks: Partition,
    bounds: Staleness | None = None,
    settings: Settings | None = None,
) -> Result:
    """Layers as stages on the processes, chunks of the graph passing through them (`MacroPipeline`)."""
    settings = settings or Settings()
    stages, x = Stages.of(model), data.dense()
    pipeline = MacroPipeline(stages, data.graph, chunks, bounds)
    count = float(data.train.sum())

    def loss_of(out: Tensor, nodes: Tensor) -> Tensor:
        train = data.train[nodes]
        return F.cross_entropy(out[train], data.y[nodes][train], reduction="sum") / count

    def epoch(optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = pipeline.step(x, loss_of)
        optimizer.step()
        return loss

    losses = _loop(stages, pipeline.owned, epoch, settings)
    pipeline.synchronise()
    whole = InParts(stages, data.graph, chunks, pipeline.bounds)
    return Result(losses, _accuracy(whole, x, data.y, _masks(data), shared=False), pipeline.counters, pipeline.ledger)


def accuracy(stages: Stages, data: GraphData) -> dict[str, float]:
    """Of the plain network on the whole graph, by mask."""
    return _accuracy(lambda x: stages(x, data.graph), data.dense(), data.y, _masks(data), shared=False, module=stages)


def _masks(data: GraphData) -> dict[str, Tensor]:
    return {"train": data.train, "valid": data.valid, "test": data.test}


def _accuracy(
    net: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    masks: dict[str, Tensor],
    shared: bool = True,
    module: nn.Module | None = None,
) -> dict[str, float]:
    """`shared`: this process has some of the nodes, the others the rest."""
    module = module if module is not None else net if isinstance(net, nn.Module) else None
    assert module is not None
    module.eval()
    with torch.no_grad():
        right = net(x).argmax(1) == y
    counts = torch.tensor([[float((right & m).sum()), float(m.sum())] for m in masks.values()], dtype=torch.float64)
    if shared and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(counts)
    return {name: float(hit / n) if n else float("nan") for name, (hit, n) in zip(masks, counts, strict=True)}


def _loop(
    module: nn.Module,
    parameters: list[nn.Parameter],
    epoch: Callable[[torch.optim.Optimizer], float],
    settings: Settings,
) -> tuple[float, ...]:
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    losses = []
    for _ in range(settings.epochs):
        module.train()
        losses.append(epoch(optimizer))
    return tuple(losses)


def _one_operand(stages: Stages, graph: Graph) -> Graph:
    operands = [stages[k].operand(graph) for k in range(1, len(stages) + 1)]
    if any(o is not operands[0] for o in operands):
        raise ValueError("sampled: expected layers that read the same graph, got GCN layers beside others")
    return operands[0]


def _unbiased(stages: Stages, graph: Graph, sample: Sample) -> tuple[Graph, ...]:
    conv = stages[1].conv
    if not stages[1].sums or getattr(conv, "aggr", "sum") == "mean":
        return sample.blocks
    drawn = sample.indptr.diff()
    rows = torch.repeat_interleave(torch.arange(drawn.numel()), drawn)
    scale = (graph.in_degrees()[sample.nodes[: drawn.numel()]] / drawn.clamp(min=1))[rows]
    weight = scale if sample.weight is None else sample.weight * scale
    return Sample(sample.nodes, sample.hops, sample.indptr, sample.indices, sample.edges, weight).blocks


def _mean(value: float, world: int) -> float:
    if world == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / world
