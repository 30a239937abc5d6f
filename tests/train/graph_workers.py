"""What the processes of test_graph_distributed.py do, and the networks and data that the tests of training share."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.data.graph_data import GraphData
from moiety.data.small_graphs import stochastic_blocks
from moiety.graph import Partition, partition
from moiety.nn.graph import EdgeConv, GATConv, GATv2Conv, GCNConv, GINConv, SAGEConv
from moiety.train.graph import Layer, MacroPipeline, PartitionParallel, Stages, Staleness, training
from moiety.train.graph.__main__ import main

STEPS = 4
WIDTH = 6
BOUNDS = {
    "synchronous": Staleness.synchronous(),
    "pipegcn": Staleness.pipegcn(),
    "macro": Staleness.macro_pipeline(),
    "mixed": Staleness(2, 1, 3, 1, 2, 2),
}
PARTITIONED = [
    *(("gcn", bounds, overlap) for bounds in BOUNDS for overlap in (False, True)),
    ("sage", "pipegcn", True),
    ("gin", "pipegcn", True),
    ("gin", "mixed", False),
    ("gat", "synchronous", False),
    ("gat", "mixed", False),
]
MACRO = [("gcn", "synchronous"), ("gcn", "pipegcn"), ("gcn", "macro"), ("sage", "macro"), ("gat", "macro")]


def convolution(kind: str) -> nn.Module:
    if kind == "gcn":
        return GCNConv(WIDTH, WIDTH)
    if kind == "sage":
        return SAGEConv(WIDTH, WIDTH)
    if kind == "sage-max":
        return SAGEConv(WIDTH, WIDTH, aggr="max")
    if kind == "gin":
        return GINConv(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()), train_eps=True)
    if kind == "edge":
        return EdgeConv(nn.Linear(2 * WIDTH, WIDTH), aggr="max")
    return (GATv2Conv if kind == "gatv2" else GATConv)(WIDTH, WIDTH // 2, heads=2)


def network(kind: str, layers: int = 4) -> Stages:
    """Encoder, layers of one width, decoder, in float64: any bounds fit, and rounding hides nothing."""
    torch.manual_seed(0)
    stack = [Layer(convolution(kind), nn.Tanh()) for _ in range(layers)]
    return Stages(stack, nn.Linear(16, WIDTH), nn.Linear(WIDTH, 4)).double()


def blocks() -> GraphData:
    return stochastic_blocks(nodes=100, train=8, valid=8, seed=3)


def share_of_loss(data: GraphData, out: Tensor, nodes: Tensor) -> Tensor:
    """What `nodes` add to the mean cross-entropy over all nodes to train on."""
    train = data.train[nodes]
    return F.cross_entropy(out[train], data.y[nodes][train], reduction="sum") / data.train.sum()


def optimizer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.2, momentum=0.5)


def partitioned(kind: str, bounds: str, overlap: bool, data: GraphData, parts: Partition) -> dict[str, Any]:
    stages = network(kind)
    net = PartitionParallel(stages, data.graph, parts, BOUNDS[bounds], overlap=overlap, tagged=True)
    own, step = net.plan.own, optimizer(stages.parameters())
    losses = []
    for _ in range(STEPS):
        step.zero_grad()
        loss = share_of_loss(data, net(data.x.double()[own]), own)  # type: ignore[union-attr]
        loss.backward()  # type: ignore[no-untyped-call]
        net.finish()
        step.step()
        total = loss.detach().clone()
        dist.all_reduce(total)
        losses.append(float(total))
    counted = asdict(net.counters)
    net.eval()
    with torch.no_grad():
        out = net(data.x.double()[own])  # type: ignore[union-attr]
    return {
        "losses": losses,
        "parameters": [p.detach() for p in stages.parameters()],
        "counters": counted,
        "oldest": net.ledger.oldest,
        "reads": net.ledger.reads,
        "own": own,
        "out": out,
    }


def piped(kind: str, bounds: str, data: GraphData, chunks: Partition) -> dict[str, Any]:
    stages = network(kind)
    pipeline = MacroPipeline(stages, data.graph, chunks, BOUNDS[bounds])
    step = optimizer(pipeline.owned)
    losses = []
    for _ in range(STEPS):
        step.zero_grad()
        losses.append(pipeline.step(data.x.double(), lambda out, nodes: share_of_loss(data, out, nodes)))  # type: ignore[union-attr]
        step.step()
    pipeline.synchronise()
    return {
        "losses": losses,
        "parameters": [p.detach() for p in stages.parameters()],
        "oldest": pipeline.ledger.oldest,
        "counters": asdict(pipeline.counters),
        "spans": [(s.direction, s.layer, s.chunk) for s in pipeline.spans],
    }


def small_batches(data: GraphData) -> dict[str, Any]:
    settings = training.Settings(epochs=8, learning_rate=0.05)
    found = {}
    for name, kind in (("sampled", "gcn"), ("cluster", "sage")):
        stages = network(kind, layers=2).float()
        if name == "sampled":
            result = training.sampled(stages, data, [4, 4], 8, settings)
        else:
            result = training.cluster(stages, data, 5, 2, settings)
        found[name] = {"losses": result.losses, "parameters": [p.detach() for p in stages.parameters()]}
    return found


@contextlib.contextmanager
def group(rank: int, world: int, folder: str, name: str) -> Iterator[None]:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/{name}{world}", rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def everything(rank: int, world: int, folder: str) -> None:
    """All cases on one of `world` processes; what they give is saved for the tests."""
    data = blocks()
    parts = partition(data.graph, world)
    with group(rank, world, folder, "everything"):
        results = {case: partitioned(*case, data, parts) for case in PARTITIONED}
        chunks = partition(data.graph, 3)
        results |= {case: piped(*case, data, chunks) for case in MACRO}
        results["small"] = small_batches(data)
    torch.save(results, Path(folder) / f"{world}-{rank}.pt")


def command(rank: int, world: int, folder: str, port: int, arguments: list[str]) -> None:
    """The command line as torchrun starts it."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = str(port)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(arguments)
    (Path(folder) / f"printed-{rank}").write_text(printed.getvalue())
