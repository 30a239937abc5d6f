"""An epoch of training on co-authorship DBLP's hypergraph beside the reference algorithm in Python and PyTorch
Geometric, and how much memory it takes: bench/HYPERGRAPH_EPOCHS.md.

    OMP_NUM_THREADS=1 python bench/hypergraph_epochs.py [--repeat 5] [--data DIR] [--note TEXT] [--out FILE]

The hypergraph, labels and first split are the published ones; its features are published nowhere any more, so that all
implementations train on the same random ones, 20 entries a row in 1,425 columns. Widths 1425 -> 16 -> 6, dropout 0.5,
Adam. One thread, least CPU time over turns, implementations in turns. Memory: each in a process of its own, the peak of
its resident set over three epochs above what it had with the data loaded.

"reference" makes its Laplacian in every layer and epoch by the published program's steps, written anew
(hypergraph_cases.py); its features are dense. PyG has no HyperGCN: its `HypergraphConv` is HGNN's convolution, on
features dense and as a sparse tensor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hypergraph_cases import lists_of, published_program
from moiety.data import load_hypergraph
from moiety.data.hypergraph_data import HypergraphData
from moiety.drive.hypernodes.fitting import step
from moiety.graph import Graph
from moiety.models import create_model
from sheet import Row, Sheet, at_least, at_most, resident

SHEET = Sheet(
    "HYPERGRAPH_EPOCHS",
    "An epoch on a hypergraph",
    "Co-authorship DBLP, 1,425 -> 16 -> 6: milliseconds of CPU time of an epoch, one thread, least over turns; ratios "
    "are how many times as fast moiety's HyperGCN is. Memory is the peak above what the data take.",
    5,
)
HIDDEN, DROPOUT, RATE, DECAY = 16, 0.5, 0.01, 5e-4
EPOCHS = 3  # of which memory is measured
SMALL = {"nodes": 400, "hyperedges": 300}  # of --quick
OURS = {"moiety HyperGCN": "hypergcn", "moiety FastHyperGCN": "fast_hypergcn", "moiety HGNN": "hgnn"}
TARGETS = {"reference HyperGCN": 50.0, "PyG HypergraphConv, dense": 3.0, "PyG HypergraphConv, sparse": 3.0}
MILLISECONDS, MEBIBYTES = 40.0, 150.0

Epoch = Callable[[], object]


class Reference(nn.Module):
    """HyperGCN with its Laplacian made by Python and SciPy."""

    def __init__(self, data: HypergraphData) -> None:
        super().__init__()
        self.hyperedges = dict(enumerate(lists_of(data.hypergraph)))
        self.nodes, self.random = data.num_nodes, np.random.default_rng(0)
        self.layers = nn.ModuleList([nn.Linear(data.num_features, HIDDEN), nn.Linear(HIDDEN, data.num_classes)])

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            h = x @ layer.weight.t()
            operator = published_program(self.nodes, self.hyperedges, h.detach().numpy(), self.random, True)
            x = torch.mm(operator, h) + layer.bias
            if not i:
                x = F.dropout(F.relu(x), DROPOUT, self.training)
        return x


def pyg(data: HypergraphData, sparse: bool) -> nn.Module:
    from torch_geometric.nn import HypergraphConv

    rows = torch.repeat_interleave(torch.arange(data.hypergraph.num_hyperedges), data.hypergraph.sizes())
    index = torch.stack([data.hypergraph.indices.long(), rows])
    first, second = HypergraphConv(data.num_features, HIDDEN), HypergraphConv(HIDDEN, data.num_classes)
    if sparse:  # its linear layer takes no sparse tensor: the product is taken in front of it
        weight = nn.Parameter(first.lin.weight.detach().t().clone())
        first.lin = nn.Identity()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = first, second
            self.weight = weight if sparse else None

        def forward(self, x: Tensor) -> Tensor:
            h = torch.sparse.mm(x, self.weight) if sparse else x
            return self.second(F.dropout(F.relu(self.first(h, index)), DROPOUT, self.training), index)

    return Net()


def dense(data: HypergraphData) -> Tensor:
    assert isinstance(data.x, Graph)
    columns, rows = data.x.edge_index
    return torch.zeros(data.num_nodes, data.num_features).index_put_((rows, columns), data.x.weight)


def sparse_tensor(data: HypergraphData) -> Tensor:
    assert isinstance(data.x, Graph)
    columns, rows = data.x.edge_index
    return torch.sparse_coo_tensor(torch.stack([rows, columns]), data.x.weight, (data.num_nodes, data.num_features))


def epoch_of(name: str, data: HypergraphData) -> Epoch:
    """One epoch of an implementation, with its form of the features made."""
    torch.manual_seed(0)
    nodes, _ = data.split(1)
    labels = data.y[nodes]
    if name in OURS:
        options = {"in_features": data.num_features, "num_classes": data.num_classes, "hidden": HIDDEN}
        model = create_model(OURS[name], dropout=DROPOUT, **options)
        fused = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
        model.train()
        return lambda: step(model, data, nodes, labels, fused)
    x = sparse_tensor(data) if name.endswith("sparse") else dense(data)
    model = Reference(data) if name.startswith("reference") else pyg(data, name.endswith("sparse"))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    model.train()

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x)[nodes], labels).backward()
        optimizer.step()

    return run


def load(options: argparse.Namespace) -> HypergraphData:
    if options.quick:
        return load_hypergraph("planted", **SMALL)
    return load_hypergraph("coauthorship-dblp", options.data, features="drawn")


def memory(name: str, options: argparse.Namespace) -> float:
    """MiB above the data at the peak; in this process, of which nothing else must be asked."""
    data = load(options)
    epoch = epoch_of(name, data)
    if name in OURS:
        data.hypergraph.incidence.transpose()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    for _ in range(EPOCHS):
        epoch()
    return resident("VmHWM") - before


def measured_memory(name: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--memory-of", name, *(["--quick"] if options.quick else [])]
    command += ["--data", options.data] if options.data else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def compulsory(data: HypergraphData) -> float:
    """Bytes that a HyperGCN epoch must move once, were all else free: features forward and backward, what each layer
    and its gradient read and write, incidences, parameters with Adam's moments."""
    assert isinstance(data.x, Graph)
    width, incidences = HIDDEN + data.num_classes, data.hypergraph.num_incidences
    features = 2 * (8 * data.x.num_edges + 8 * data.num_nodes)
    rows = 4 * data.num_nodes * (2 * width + 2 * width + 4 * HIDDEN)  # smoothing twice, ReLU with dropout twice
    parameters = 4 * 7 * data.num_features * HIDDEN
    return features + rows + 4 * 4 * incidences + parameters


def measured(options: argparse.Namespace) -> Row:
    data, names = load(options), [*OURS, *TARGETS]
    epochs = {name: epoch_of(name, data) for name in names}
    seconds = dict.fromkeys(names, float("inf"))
    for turn in range(options.repeat + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            spent = time.process_time() - start
            if turn:  # the first epoch of each is not counted
                seconds[name] = min(seconds[name], spent)
    own = seconds["moiety HyperGCN"]
    mebibytes = {name: measured_memory(name, options) for name in names}
    rate, moved = copy_rate(), compulsory(data)
    checks = [at_least(seconds[name] / own, times, name) for name, times in TARGETS.items()]
    checks.append(at_most(1e3 * own, MILLISECONDS, "an epoch"))
    checks.append(at_most(mebibytes["moiety HyperGCN"], MEBIBYTES, "above the data", " MiB"))
    notes = f"MiB above the data: {', '.join(f'{name} {value:.0f}' for name, value in mebibytes.items())}. Roofline: "
    notes += (
        f"{moved / 2**20:.0f} MiB that a HyperGCN epoch must move at least once, at {rate / 1e9:.1f} GB/s of a copy, "
    )
    notes += f"are {1e3 * moved / rate:.1f} ms: {100 * moved / rate / own:.0f} % of the epoch"
    nodes, edges = data.num_nodes, data.hypergraph.num_hyperedges
    return Row(f"{nodes:,} nodes, {edges:,} hyperedges", {k: 1e3 * v for k, v in seconds.items()}, checks, notes)


def main() -> int:
    parser = SHEET.parser(__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--data")
    parser.add_argument("--quick", action="store_true", help="a small generated hypergraph: does it run?")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.memory_of:
        print(memory(options.memory_of, options))
        return 0
    return SHEET.measure({"epoch": lambda: measured(options)}, options)


def copy_rate() -> float:
    """Bytes a second, read and written, of copying 64 MiB."""
    source = torch.ones(1 << 24)
    target, best = torch.empty_like(source), float("inf")
    for _ in range(8):
        start = time.process_time()
        target.copy_(source)
        best = min(best, time.process_time() - start)
    return 2 * source.numel() * 4 / best


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
