"""Time and memory of one search: a ResNet-8 of width 16 on 16,000 CIFAR-10 images.

    OMP_NUM_THREADS=2 python bench/search_cost.py --out bench/search_cost.json

The teacher is not part of the search; it has one epoch here, which changes what is found, not what it costs. The
latency target is the middle between all-identity and all-ReLU on a LAN of 1 ms and 1 Gbit/s.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from moiety.cost import backend
from moiety.data import batches, load_dataset
from moiety.models import create_model
from moiety.search import FitConfig, Latency, SearchConfig, fit, relax, search, uniform_architecture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench/search_cost.json"))
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)
    data = load_dataset("cifar10", cache=True)
    order = np.random.default_rng(0).permutation(len(data.train))
    train, valid = data.train.subset(order[5000:21000]), data.train.subset(order[:5000])
    images = next(iter(batches(train, 128, epoch=0, seed=0, augment=False)))[0]
    teacher = create_model("resnet8", width=16)
    fit(teacher, train, FitConfig(epochs=1, bfloat16=False))

    started, cpu = time.monotonic(), time.process_time()
    supernet = relax(teacher, images)
    latency = Latency(supernet, images[:64], backend("analytic:1:1000"), comparison="dcf")
    low, high = (latency.exact(uniform_architecture(latency, name)).seconds for name in ("identity", "relu"))
    config = SearchConfig(target=(low + high) / 2)
    found = search(supernet, train, valid, latency, config, teacher=teacher)
    results = {
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
        "threads": torch.get_num_threads(),
        "images": len(train),
        "target": config.target,
        "latency": found.cost.seconds,
        "plain_bytes": kept_bytes(teacher, images),
        "supernet_bytes": kept_bytes(supernet, images),
    }
    results["memory_ratio"] = results["supernet_bytes"] / results["plain_bytes"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def kept_bytes(model: nn.Module, x: Tensor) -> int:
    """Of the tensors that autograd keeps for the backward pass of one batch, and of the parameters."""
    kept = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}
    alive: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)  # a storage that were freed could lend its address to the next
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()(x).sum()
    return sum(kept.values())


if __name__ == "__main__":
    main()
