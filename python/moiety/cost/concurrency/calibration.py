"""Measures a machine: one thread, CPU time, the least of several calls of every sample.

A sample is a call of an operator on a random graph or on random matrices; the tracer says which kernels it ran, and the
rates of each kind of kernel are fitted to the samples of that kind (`moiety.cost.fit`). Operators are measured as they
are called: allocation of the result and the way through torch included.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moiety import ops
from moiety.cost.fit import fit, misses
from moiety.graph import Graph
from moiety.models import create_model

from .kernels import EdgeSoftmaxBackward, GatBackward, Kernel
from .roofline import FEATURES, Machine, features, kind_of
from .translate import Patterns
from .watch import trace

__all__ = ["calibrate", "cpu_name", "least"]

Progress = Callable[[int, int, str], None]
Sample = tuple[Callable[[], Any], list[Kernel] | None]
BUDGET_S = 0.08  # of a sample
MOST_KEPT = 8  # results of a round
KEPT_BYTES = 1 << 28


def least(call: Callable[[], object], budget: float = BUDGET_S) -> float:
    """The least CPU seconds of one call, over rounds of several calls that together take about `budget`.

    The results of a round stay alive until its end and are freed together, as a network's are: a result that takes the
    place of the one before it would find its memory mapped and in the cache, which no network's does.
    """
    result = call()
    size = result.nbytes if isinstance(result, torch.Tensor) else 0
    del result
    together = max(1, min(MOST_KEPT, KEPT_BYTES // max(1, size)))
    best, spent, rounds = float("inf"), 0.0, 0
    while rounds < 3 or (spent < budget and rounds < 200):
        start = time.thread_time()
        kept = [call() for _ in range(together)]
        kept.clear()
        taken = time.thread_time() - start
        best, spent, rounds = min(best, taken / together), spent + taken, rounds + 1
    return best


def random_graph(nodes: int, degree: int, skewed: bool, seed: int) -> Graph:
    """Edges at random; `skewed`: sources and targets by a power law, as in natural graphs."""
    random = np.random.default_rng(seed)
    if skewed:
        popularity = 1.0 / (np.arange(nodes) + 10.0) ** 0.8
        ends = random.choice(nodes, (2, nodes * degree), p=popularity / popularity.sum())
        ends = random.permutation(nodes)[ends]
    else:
        ends = random.integers(0, nodes, (2, nodes * degree))
    return Graph.from_edge_index(torch.from_numpy(ends), nodes)


def _graphs() -> Iterator[tuple[Graph, int]]:
    """Graphs and numbers of features: from what fits a core's cache to what does not fit any."""
    for seed, (nodes, degree, skewed, width) in enumerate(
        [
            (1 << 9, 4, False, 8), (1 << 10, 16, False, 64), (1 << 12, 8, True, 16), (1 << 12, 32, False, 128),
            (1 << 13, 16, True, 64), (1 << 14, 8, False, 32), (1 << 14, 24, False, 256), (1 << 15, 12, True, 128),
            (1 << 16, 16, False, 16), (1 << 16, 12, False, 64), (1 << 17, 8, True, 64), (1 << 17, 6, False, 128),
        ]
    ):  # fmt: skip
        yield random_graph(nodes, degree, skewed, seed), width


def _backward(graph: Graph, heads: Tensor, score: Tensor, alpha: Tensor) -> Iterator[Sample]:
    """Gradients as training has them: a watched backward pass would take the registered operators' way."""
    by_source = Patterns().of(graph.indptr, graph.indices, graph.num_cols).transposed[0]
    inputs = [t.clone().requires_grad_() for t in (heads, score, score)]
    with torch.enable_grad():
        y = ops.gat_aggregate(graph, inputs[0], inputs[1], inputs[2])
        scores = alpha.clone().requires_grad_()
        z = ops.edge_softmax(graph, scores)
    dy, dz = torch.randn_like(y), torch.randn_like(z)
    yield (
        lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True),
        [GatBackward(by_source, heads.shape[1], heads.shape[2])],
    )
    yield (
        lambda: torch.autograd.grad(z, scores, dz, retain_graph=True),
        [EdgeSoftmaxBackward(by_source.transposed[0], alpha.shape[1])],
    )


def _samples() -> Iterator[Sample]:
    """Calls of operators, each of which runs kernels of one kind, and these where a trace does not find them."""
    for graph, width in _graphs():
        x = torch.randn(graph.num_cols, width)
        weight = torch.rand(graph.num_edges)
        index = graph.indices.long()
        heads, score = x.view(-1, 4, width // 4), torch.randn(graph.num_cols, 4)
        alpha = torch.rand(graph.num_edges, 4)
        yield partial(ops.spmm, graph, x), None
        yield partial(ops.spmm, graph, x, weight), None
        yield partial(ops.spmm, graph, x, reduce="max"), None
        yield partial(ops.sddmm, graph, x, x), None
        yield partial(ops.gat_aggregate, graph, heads, score, score), None
        yield partial(ops.edge_softmax, graph, alpha), None
        yield from _backward(graph, heads, score, alpha)
        if graph.num_edges * width <= 1 << 25:
            edges, sums = torch.randn(graph.num_edges, width), torch.zeros_like(x)
            yield partial(x.index_select, 0, index), None
            yield partial(sums.index_add_, 0, index, edges), None
    for n, k, m in ((512, 16, 16), (2048, 64, 16), (4096, 128, 64), (8192, 64, 64), (16384, 256, 64), (16384, 32, 128),
                    (65536, 64, 16), (65536, 128, 128), (131072, 16, 64)):  # fmt: skip
        a, b, c = torch.randn(n, k), torch.randn(k, m), torch.randn(m)
        yield partial(torch.mm, a, b), None
        yield partial(torch.addmm, c, a, b), None
    for rows, width in ((64, 16), (1024, 16), (4096, 64), (16384, 64), (65536, 32), (65536, 128), (131072, 64)):
        a, b, column, line = (
            torch.randn(rows, width),
            torch.randn(rows, width),
            torch.randn(rows, 1),
            torch.randn(width),
        )
        for function in (torch.relu, torch.clone, torch.exp, torch.sigmoid, torch.nn.functional.elu):
            yield partial(function, a), None
        for other in (b, column, line):
            yield partial(torch.add, a, other), None
            yield partial(torch.mul, a, other), None
        yield partial(a.sum, 1), None
        yield partial(a.mean, 0), None
        yield partial(torch.log_softmax, a, 1), None
        yield partial(torch.softmax, a, 1), None


def calibrate(progress: Progress = lambda done, total, what: None) -> Machine:
    """This machine, measured in about a minute of one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        near = cache_bytes()
        middle = 8 * near  # about as far as a TLB reaches, beyond which every row costs a walk through the page table
        peak, gather = _peaks()
        bandwidth = _copies(near // 2), _copies(middle // 2), _copies(1 << 28)
        measured: dict[str, list[tuple[tuple[float, ...], float]]] = {}
        total = sum(1 for _ in _samples())
        with torch.no_grad():
            for done, (call, known) in enumerate(_samples()):
                kernels = [step.kernel for step in trace(call).steps] if known is None else known
                kinds = {kind_of(kernel) for kernel in kernels}
                progress(done, total, ", ".join(sorted(kinds)))
                if len(kinds) != 1:
                    raise RuntimeError(f"calibrate: expected a sample of one kind of kernel, got {sorted(kinds)}")
                amounts = np.sum([features(kernel, near, middle) for kernel in kernels], axis=0)
                measured.setdefault(kinds.pop(), []).append((tuple(amounts), least(call)))
        rates, errors = {}, {}
        for kind, samples in measured.items():
            rates[kind], errors[kind] = _rates(samples)
        bare = Machine(cpu_name(), peak, bandwidth, gather, near, middle, 0.0, rates, errors)
        module = _module_seconds(bare)
    finally:
        torch.set_num_threads(threads)
    made = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "samples": sum(map(len, measured.values())),
    }
    return replace(bare, module=module, made=made)


def _module_seconds(bare: Machine) -> float:
    """What calling a module takes beside its kernels, from networks on a graph of a few vertices."""
    graph = random_graph(16, 2, False, 0)
    x = torch.randn(16, 4)
    found = []
    for name in ("gcn", "graphsage", "gin"):
        model = create_model(name, in_features=4, num_classes=4, hidden=4).eval()
        with torch.no_grad():
            seconds = least(lambda model=model: model(x, graph))  # type: ignore[misc]
        watched = trace(lambda model=model: model(x, graph))  # type: ignore[misc]
        kernels = sum(bare.seconds(step.kernel) for step in watched.steps)
        found.append(max(0.0, seconds - kernels) / watched.modules)
    return float(np.median(found))


def _rates(samples: list[tuple[tuple[float, ...], float]]) -> tuple[tuple[float, ...], float]:
    amounts = np.array([a for a, _ in samples])
    seconds = [s for _, s in samples]
    some = np.flatnonzero(amounts.max(axis=0) > 0)
    x = np.zeros(len(FEATURES))
    x[some] = fit(amounts[:, some].tolist(), seconds)
    return tuple(map(float, x)), float(np.mean(misses(amounts.tolist(), seconds, x)))


def _copies(size: int) -> float:
    """Bytes a second, read and written, of copies between two tensors of `size` bytes together."""
    source = torch.ones(size // 8)
    target = torch.empty_like(source)
    return size / least(lambda: target.copy_(source), 0.3)


def _peaks() -> tuple[float, float]:
    """Operations of a large product, and bytes of 256-byte rows in random order, a second."""
    a = torch.randn(1024, 1024)
    out = torch.empty_like(a)
    peak = 2 * 1024**3 / least(lambda: torch.mm(a, a, out=out), 0.5)
    table, index = torch.ones(1 << 19, 64), torch.randperm(1 << 19)[: 1 << 17]  # 128 MiB
    rows = torch.empty(len(index), 64)
    gather = rows.nbytes / least(lambda: torch.index_select(table, 0, index, out=rows), 0.5)
    return peak, gather


def cache_bytes() -> int:
    """A core's own cache of the second level; 1 MiB where the system does not say."""
    for path in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            if (path / "level").read_text().strip() == "2":
                size = (path / "size").read_text().strip()
                return int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
        except (OSError, KeyError, ValueError):
            continue
    return 1 << 20


def cpu_name() -> str:
    """The processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
