"""Full-graph training in parts, under the staleness bounds of equation (3).

`PartitionParallel` is one process's share: it computes its part's nodes and fetches what it reads of others. `InParts`
is the same network with all parts in one process, for graphs that fit, to try out bounds, and as what the former is
held against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.graph.partitioning import Partition
from moiety.graph.structure import Structure
from moiety.ops import spmm
from moiety.train.graph.exchange import Counters, Exchange
from moiety.train.graph.links import Clock, DelayLink, Link, RemoteLink
from moiety.train.graph.plan import HaloPlan
from moiety.train.graph.stages import Stages
from moiety.train.graph.staleness import Kind, Ledger, Staleness

__all__ = ["InParts", "PartitionParallel"]

Links = dict[Kind, Link]
# What a layer makes of the features of its own nodes, of local neighbours, and of what brings the remote ones.
Apply = Callable[[int, Tensor, Tensor, Callable[[], Tensor]], Tensor]


def propagate(stages: Stages, x: Tensor, bounds: Staleness, links: Sequence[Links], apply: Apply) -> Tensor:
    """Equation (3), layer after layer; ``links[l - 1]`` are the ways into layer l."""
    h: list[Tensor] = []
    tokens: dict[int, Tensor] = {}

    def made(value: Tensor) -> None:
        """h(len(h)) is there: it sets out at once for the layers that read it from other parts."""
        source = len(h)
        h.append(value)
        for layer in range(1, len(stages) + 1):
            if bounds.source("remote", layer) == source:
                tokens[layer] = links[layer - 1]["remote"].begin(value, source)

    made(stages.drop(0, stages.encoder(x)))
    for layer in range(1, len(stages) + 1):
        way = links[layer - 1]

        def read(kind: Kind, layer: int = layer, way: Links = way) -> Tensor:
            source = bounds.source(kind, layer)
            bounds.check_width(kind, layer, h[source].shape[1], h[layer - 1].shape[1])
            token = tokens[layer] if kind == "remote" else way[kind].begin(h[source], source)
            return way[kind].end(token, source)

        y = apply(layer, read("self"), read("local"), partial(read, "remote"))
        made(stages.drop(layer, y))
    return cast(Tensor, stages.decoder(h[-1]))


class _Bounded(nn.Module):
    """What both have: stages, bounds, a clock and the record of versions."""

    def __init__(self, stages: Stages, bounds: Staleness) -> None:
        super().__init__()
        stages.check_parts()
        self.stages, self.bounds = stages, bounds
        self.clock, self.ledger = Clock(), Ledger(bounds)
        self._step = 0

    def _run(self, x: Tensor, links: Sequence[Links], apply: Apply) -> Tensor:
        """In training mode and with gradients a step of training; otherwise with this step's values throughout."""
        trains = self.training and torch.is_grad_enabled()
        self.clock.step = self._step if trains else -1
        self._step += trains
        try:
            return propagate(self.stages, x, self.bounds, links, apply)
        finally:
            self.clock.step = -1


class InParts(_Bounded):
    """All parts in one process: forward(x (nodes, in), graph's numbering) -> (nodes, out)."""

    def __init__(self, stages: Stages, graph: Graph, partition: Partition, bounds: Staleness | None = None) -> None:
        super().__init__(stages, Staleness() if bounds is None else bounds)
        if partition.num_nodes != graph.num_nodes:
            raise ValueError(f"in parts: expected a partition of {graph.num_nodes} nodes, got {partition.num_nodes}")
        self.blocks = [_doubled(stages[k].operand(graph), partition) for k in range(1, len(stages) + 1)]
        kinds: tuple[Kind, ...] = ("self", "local", "remote")
        self.links: list[Links] = [
            {kind: DelayLink(kind, k, self.clock, self.ledger) for kind in kinds} for k in range(1, len(stages) + 1)
        ]

    def forward(self, x: Tensor) -> Tensor:
        def apply(layer: int, own: Tensor, local: Tensor, remote: Callable[[], Tensor]) -> Tensor:
            y: Tensor = self.stages[layer](torch.cat([local, remote()]), own, self.blocks[layer - 1])
            return y

        return self._run(x, self.links, apply)


def _doubled(graph: Graph, partition: Partition) -> Graph:
    """Every node as two columns, v as a local neighbour and nodes + v as a remote one."""
    part = partition.assignment
    source, target = graph.edge_index
    column = source + graph.num_nodes * (part[source] != part[target])
    structure = Structure(graph.indptr, column.to(graph.indices.dtype), 2 * graph.num_nodes)
    return Graph(structure, graph.weight)


class PartitionParallel(_Bounded):
    """One process's part of a network over a graph in as many parts as there are processes.

    forward(x (own, in)) -> (own, out), both in the order of ``plan.own``; all processes call it together, and so the
    backward pass. `finish` then adds up the parameters' gradients. The loss of a part must be its share of the whole:
    a sum over its nodes, divided by the number of all.

    ``overlap``: local neighbours are summed while the halo is on its way, which is the micro-pipeline between
    communication and computation; for convolutions that are sums (GCN, GIN, SAGE with mean or sum). ``tagged``: rows
    travel with their version, and the ledger records what the senders say.
    """

    def __init__(
        self,
        stages: Stages,
        graph: Graph,
        partition: Partition,
        bounds: Staleness | None = None,
        group: dist.ProcessGroup | None = None,
        overlap: bool = False,
        tagged: bool = False,
    ) -> None:
        super().__init__(stages, Staleness() if bounds is None else bounds)
        rank = dist.get_rank(group) if dist.is_initialized() else 0
        self.plan = HaloPlan.build(graph, partition, rank)
        self.counters = Counters()
        self.exchange = Exchange(self.plan, group, self.counters, tagged)
        layers = range(1, len(stages) + 1)
        if overlap and not all(stages[k].sums for k in layers):
            raise ValueError(
                "partition parallel: overlap sums local neighbours before the others have come, which needs "
                "convolutions that are sums (GCNConv, GINConv, SAGEConv with mean or sum); pass overlap=False"
            )
        self.overlap = overlap
        self.blocks = [self.plan.block(stages[k].operand(graph)) for k in layers]
        self.halves = (
            [_halves(stages[k].summed(b), self.plan) for k, b in zip(layers, self.blocks, strict=True)]
            if (overlap)
            else []
        )
        self.links: list[Links] = [
            {
                "self": DelayLink("self", k, self.clock, self.ledger),
                "local": DelayLink("local", k, self.clock, self.ledger),
                "remote": RemoteLink(k, self.clock, self.ledger, self.exchange),
            }
            for k in layers
        ]

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[:1] != self.plan.own.shape:
            raise ValueError(
                f"partition parallel: expected features of this part's {self.plan.own.numel()} nodes, x[plan.own], got "
                f"{tuple(x.shape)}"
            )
        return self._run(x, self.links, self._layer)

    def _layer(self, layer: int, own: Tensor, local: Tensor, remote: Callable[[], Tensor]) -> Tensor:
        stage = self.stages[layer]
        if not self.overlap:
            y: Tensor = stage(torch.cat([local, remote()]), own, self.blocks[layer - 1])
            return y
        inner, outer = self.halves[layer - 1]
        total = spmm(inner, local)
        return stage.neural(total + spmm(outer, remote()), own)

    def finish(self) -> None:
        """Sum the parameters' gradients over the processes; call it between backward() and the optimiser's step."""
        self.exchange.sum_gradients([p for p in self.stages.parameters() if p.requires_grad])


def _halves(block: Graph, plan: HaloPlan) -> tuple[Graph, Graph]:
    """The block over own columns and over the halo's."""
    own = plan.own.numel()
    return _columns(block, 0, own), _columns(block, own, plan.columns.numel())


def _columns(block: Graph, begin: int, end: int) -> Graph:
    inside = (block.indices >= begin) & (block.indices < end)
    before = torch.cat([torch.zeros(1, dtype=torch.int64), inside.to(torch.int64).cumsum(0)])
    structure = Structure(before[block.indptr], (block.indices[inside] - begin).contiguous(), end - begin)
    return Graph(structure, None if block.weight is None else block.weight[inside])
