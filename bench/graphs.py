"""The operators on graphs beside torch.sparse, PyTorch Geometric, SciPy, numba and DGL: bench/GRAPHS.md.

    OMP_NUM_THREADS=1 python bench/graphs.py [--scale 17] [--repeat 3] [--note TEXT] [--out bench/GRAPHS.md]

One thread, least CPU time over turns, implementations in turns; DGL and what else does not import is left out. Beside
every product stand the bytes a second that it gathers and the same for its rows alone, without anything written.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch

import graph_cases as cases
import machine
from moiety.graph import Graph
from moiety.ops import spmm

Seconds = dict[str, float]
Checks = list[tuple[float, float, str]]  # reached, at least, of what


def times(seconds: Seconds) -> str:
    return ", ".join(f"{name} {1e3 * value:.3g}" for name, value in seconds.items())


def verdict(checks: Checks) -> str:
    return ", ".join(
        f"{reached:.2f}x {what}" if reached >= wanted else f"**{reached:.2f}x {what} (of {wanted:g}x)**"
        for reached, wanted, what in checks
    )


def against(seconds: Seconds, limits: dict[str, float], own: str = "moiety") -> Checks:
    return [(seconds[peer] / seconds[own], limit, peer) for peer, limit in limits.items() if peer in seconds]


def best_torch(seconds: Seconds, limit: float) -> Checks:
    best = min(seconds[name] for name in ("torch.sparse.mm sum", "A @ X"))
    return [(best / seconds["moiety"], limit, "the best torch path")]


def row(title: str, seconds: Seconds, checks: Checks, roofline: str = "") -> str:
    line = f"| {title} | {times(seconds)} | {verdict(checks)} | {roofline} |"
    print(f"{time.process_time():7.1f} s  {title}: {times(seconds)}; {verdict(checks)} {roofline}", flush=True)
    return line


def products(name: str, graph: Graph, width: int, repeat: int, limits: dict[str, float] | None) -> str:
    calls = cases.product(graph, width, peers=width <= 64) | {"rows alone": cases.gather(graph, width)}
    seconds = cases.least_cpu(calls, repeat)
    alone = seconds.pop("rows alone")
    moved, gathered = cases.traffic(graph, width), graph.num_edges * (4 * width + 4)
    share = (moved / seconds["moiety"]) / (gathered / alone)
    roofline = (
        f"{moved / seconds['moiety'] / 1e9:.1f} GB/s, {100 * share:.0f} % of the rows' {gathered / alone / 1e9:.1f}"
    )
    checks = best_torch(seconds, 2.0) if limits is None else against(seconds, limits)
    return row(f"sum, {name}, F = {width}", seconds, checks, roofline)


def two_threads(graph: Graph, width: int, repeat: int) -> str:
    x = torch.randn(graph.num_cols, width)
    found: dict[int, float] = {1: float("inf"), 2: float("inf")}
    for _ in range(3 * repeat):
        for threads in found:
            torch.set_num_threads(threads)
            start = time.perf_counter()
            spmm(graph, x)
            found[threads] = min(found[threads], time.perf_counter() - start)
    torch.set_num_threads(1)
    seconds = {f"{threads} thread{'s' * (threads > 1)} (wall)": value for threads, value in found.items()}
    return row(f"two threads, F = {width}", seconds, [(found[1] / found[2], 1.8, "one thread")])


def overhead() -> str:
    """Microseconds of a call that has nothing to do."""
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2, torch.ones(2))
    x, leaf = torch.randn(2, 1), torch.randn(2, 1, requires_grad=True)
    calls: cases.Calls = {
        "without gradient": lambda: [spmm(graph, x) for _ in range(1000)],
        "with gradient": lambda: [spmm(graph, leaf) for _ in range(1000)],
    }
    found = {name: 1e3 * value for name, value in cases.least_cpu(calls, 10).items()}  # of 1000 calls: microseconds
    words = ", ".join(f"{name} {value:.1f} us" for name, value in found.items())
    limits = {"without gradient": 20.0, "with gradient": 40.0}
    judged = ", ".join(f"{n} {'met' if found[n] <= v else f'**above {v:g} us**'}" for n, v in limits.items())
    print(f"{time.process_time():7.1f} s  overhead: {words}", flush=True)
    return f"| one call with nothing to do | {words} | {judged} | |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=17, help="2^scale nodes of the power-law graph")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--note", default="", help="what a reader must know of this run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("GRAPHS.md"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    repeat, load = options.repeat, machine.load()
    rows = [overhead()]
    small = cases.cora()
    rows += [products("Cora's size", small, width, 100 * repeat, None if width == 64 else {}) for width in (16, 64)]
    graph = cases.power_law(options.scale)
    title = f"RMAT, {graph.num_nodes} nodes, {graph.num_edges} edges, hub of {int(graph.in_degrees().max())}"
    limits = {64: (3.0, 4.5), 128: (2.7, 4.5), 256: (3.0, 4.5)}
    rows.append(products("RMAT", graph, 16, repeat, None))
    for width, (kernel, product) in limits.items():
        rows.append(products("RMAT", graph, width, repeat, {"torch.sparse.mm sum": kernel, "A @ X": product}))
    seconds = cases.least_cpu(cases.product_backward(graph, 64), repeat)
    rows.append(
        row("sum, forward and backward, F = 64", seconds, best_torch(seconds, 4.5) + against(seconds, {"A @ X": 6}))
    )
    for backward, (pyg, dgl) in ((False, (12.0, 6.0)), (True, (8.0, 5.0))):
        seconds = cases.least_cpu(cases.attention(graph, 64, backward), repeat)
        how = "forward and backward" if backward else "forward"
        rows.append(row(f"GAT, 4 heads of 16, {how}", seconds, against(seconds, {"PyG": pyg, "DGL": dgl})))
    for reduce, peer in (("max", "torch.sparse.mm amax (no argument)"), ("mean", "torch.sparse.mm mean")):
        seconds = cases.least_cpu(cases.reductions(graph, 64, reduce), repeat)
        rows.append(
            row(f"{reduce}{' with argument' * (reduce == 'max')}, F = 64", seconds, against(seconds, {peer: 1.5}))
        )
    seconds = cases.least_cpu(cases.sampled(graph, 64), repeat)
    rows.append(row("sddmm, F = 64", seconds, against(seconds, {"torch.sparse.sampled_addmm": 1.5})))
    for width in (64, 128):
        seconds = cases.least_cpu(cases.ring(graph, width), repeat)
        limits_of = {"moiety float32": 0.33, "scipy int64": 6.0} if width == 64 else {}
        limits_of |= {"moiety float32, as many bytes": 0.85} if width == 64 else {}
        rows.append(row(f"ring of 2^64, F = {width}", seconds, against(seconds, limits_of, "moiety u64")))
    rows.append(two_threads(graph, 128, repeat))
    even = cases.uniform(1 << options.scale, 4_000_000 >> (17 - options.scale))
    for width in (64, 128):
        rows.append(products("uniform", even, width, repeat, {"torch.sparse.mm sum": 2.0}))
    described = "".join(f"- {name}: {value}\n" for name, value in machine.describe().items())
    note = f"\n{options.note}\n" if options.note else ""
    options.out.write_text(
        f"# Operators on graphs\n\nWritten by `python bench/graphs.py {' '.join(sys.argv[1:])}`. Milliseconds of CPU "
        "time, one thread, least over turns; ratios in bold are short of what issue 4 asks. The gather rate counts "
        "indices, weights, sources and results; the rows' rate is that of reading the same rows in the same order.\n\n"
        f"{title}; load average {load} before, {machine.load()} after.\n{note}\n{described}\n"
        "| | ms | times as fast as | gathers |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
