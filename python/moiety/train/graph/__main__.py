"""Train on a graph by one of the schedules, in one process or under torchrun.

    python -m moiety.train.graph --data sbm --schedule full
    torchrun --nproc-per-node 2 -m moiety.train.graph --data cora --schedule partition --staleness 1 1 1 0 0 1

The first process prints one JSON object: losses, accuracies, bytes sent by every process, the oldest values read.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import fields

import torch
import torch.distributed as dist

from moiety.data import load_graph
from moiety.graph import partition
from moiety.models import create_model
from moiety.train.graph import training
from moiety.train.graph.staleness import Staleness

SCHEDULES = ("full", "sampled", "cluster", "partition", "macro")


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m moiety.train.graph", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="sbm", help="a name of moiety.data.load_graph (default: sbm)")
    parser.add_argument("--model", default="gcn", help="gcn, graphsage, gat, gatv2 or gin (default: gcn)")
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--schedule", choices=SCHEDULES, default="full")
    parser.add_argument("--parts", type=int, help="parts, clusters or chunks (default: processes, 16 or 4)")
    parser.add_argument("--method", default="multilevel", help="of the partition (default: multilevel)")
    names = ", ".join(field.name for field in fields(Staleness))
    parser.add_argument("--staleness", type=int, nargs=6, metavar="N", help=f"the bounds {names}")
    parser.add_argument("--overlap", action="store_true", help="partition: sum local neighbours while others come")
    parser.add_argument("--chunks", type=int, default=1, help="full: chunks of a micro-pipeline")
    parser.add_argument("--fanouts", type=int, nargs="+", help="sampled: edges of each hop (default: 10 a layer)")
    parser.add_argument("--batch-size", type=int, help="seeds (512) or clusters (1)")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def run(o: argparse.Namespace) -> training.Result:
    """One schedule, on this process's part where there are several."""
    data = load_graph(o.data)
    torch.manual_seed(o.seed)
    size = {"hidden": o.hidden, "layers": o.layers, "dropout": o.dropout}
    if o.model == "gin":
        size["norm"] = False  # batches of nodes differ between schedules
    model = create_model(o.model, in_features=data.num_features, num_classes=data.num_classes, **size)
    settings = training.Settings(o.epochs, o.learning_rate, o.weight_decay, o.seed)
    bounds = Staleness(*o.staleness) if o.staleness else Staleness()
    if bounds != Staleness() and o.schedule not in ("partition", "macro"):
        raise ValueError(f"--staleness goes with --schedule partition or macro, not with {o.schedule}")
    world = dist.get_world_size() if dist.is_initialized() else 1
    if o.schedule == "full":
        if world > 1:
            raise ValueError("--schedule full is for one process; several share a graph by --schedule partition")
        return training.full_batch(model, data, settings, o.chunks)
    if o.schedule == "sampled":
        return training.sampled(model, data, o.fanouts or [10] * o.layers, o.batch_size or 512, settings)
    parts = o.parts or {"cluster": 16, "macro": 4}.get(o.schedule, max(world, 2))
    divided = partition(data.graph, parts, o.method, seed=o.seed)
    if o.schedule == "cluster":
        return training.cluster(model, data, divided, o.batch_size or 1, settings)
    if o.schedule == "macro":
        return training.macro_pipeline(model, data, divided, bounds, settings)
    return training.partition_parallel(model, data, divided, bounds, settings, o.overlap)


def main(arguments: Sequence[str] | None = None) -> None:
    o = options(arguments)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        print(json.dumps(run(o).as_dict()))
        return
    dist.init_process_group("gloo")
    try:
        result = run(o).as_dict()
        sent: list[object] = [None] * world
        dist.all_gather_object(sent, result["counters"])
        if dist.get_rank() == 0:
            print(json.dumps({**result, "counters": sent}))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
