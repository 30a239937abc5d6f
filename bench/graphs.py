"""The operators on graphs beside torch.sparse, PyTorch Geometric, SciPy, numba and DGL: bench/GRAPHS.md.

    OMP_NUM_THREADS=1 python bench/graphs.py [--rows rmat64 ...] [--scale 17] [--repeat 3] [--note TEXT] [--out FILE]

One thread, least CPU time over turns, implementations in turns; DGL and what else does not import is left out. Beside
every product stand the bytes a second that it gathers and the same for its rows alone, without anything written.
"""

from __future__ import annotations

import functools
import sys
import time
import warnings
from collections.abc import Callable

import torch

import graph_cases as cases
from moiety.graph import Graph
from moiety.ops import spmm
from sheet import Check, Row, Sheet, at_least, at_most

SHEET = Sheet(
    "GRAPHS",
    "Operators on graphs",
    "Milliseconds of CPU time, one thread, least over turns; ratios are how many times as fast moiety is. The gather "
    "rate counts indices, weights, sources and results; the rows' rate is that of reading the same rows in the same "
    "order, and what that would be beside a peer bounds what a product can be. RMAT: 2^17 nodes, 3.7 M edges, a hub of "
    "15,651; uniform: as many nodes, 4 M edges.",
    4,
)
Seconds = dict[str, float]
Limits = dict[str, float | None]


def row(title: str, seconds: Seconds, checks: list[Check], notes: str = "") -> Row:
    return Row(title, {name: 1e3 * value for name, value in seconds.items()}, checks, notes)


def against(seconds: Seconds, limits: Limits, own: str = "moiety") -> list[Check]:
    return [at_least(seconds[peer] / seconds[own], limit, peer) for peer, limit in limits.items() if peer in seconds]


def best_torch(seconds: Seconds, limit: float | None) -> Check:
    best = min(seconds[name] for name in ("torch.sparse.mm sum", "A @ X"))
    return at_least(best / seconds["moiety"], limit, "the best torch path")


def product(name: str, graph: Graph, width: int, repeat: int, limits: Limits, best: float | None = None) -> Row:
    calls = cases.product(graph, width, peers=width <= 64) | {"rows alone": cases.gather(graph, width)}
    seconds = cases.least_cpu(calls, repeat)
    alone = seconds.pop("rows alone")
    moved, gathered = cases.traffic(graph, width), graph.num_edges * (4 * width + 4)
    share = (moved / seconds["moiety"]) / (gathered / alone)
    roofline = (
        f"{moved / seconds['moiety'] / 1e9:.1f} GB/s, {100 * share:.0f} % of the rows' {gathered / alone / 1e9:.1f}"
    )
    bounds = [f"{seconds[peer] / alone:.2f}x {peer}" for peer in ("torch.sparse.mm sum", "A @ X")]
    roofline += f"; reading the rows alone is {' and '.join(bounds)}"
    checks = against(seconds, limits) if limits else [best_torch(seconds, best)]
    if name == "uniform":
        checks.append(at_least(100 * share, 90, "of the rows' rate", " %"))
    return row(f"sum, {name}, F = {width}", seconds, checks, roofline)


def two_threads(graph: Graph, width: int, repeat: int) -> Row:
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
    return row(f"two threads, F = {width}", seconds, [at_least(found[1] / found[2], 1.8, "one thread")])


def overhead() -> Row:
    """Microseconds of a call that has nothing to do."""
    graph = Graph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2, torch.ones(2))
    x, leaf = torch.randn(2, 1), torch.randn(2, 1, requires_grad=True)
    calls: cases.Calls = {
        "without gradient": lambda: [spmm(graph, x) for _ in range(1000)],
        "with gradient": lambda: [spmm(graph, leaf) for _ in range(1000)],
    }
    found = cases.least_cpu(calls, 10)  # of 1000 calls
    limits = {"without gradient": 20.0, "with gradient": 40.0}
    checks = [at_most(1e3 * found[name], limit, name, " us") for name, limit in limits.items()]
    return Row("one call with nothing to do", found, checks)


def backward(graph: Graph, repeat: int) -> Row:
    seconds = cases.least_cpu(cases.product_backward(graph, 64), repeat)
    checks = [best_torch(seconds, 4.5), *against(seconds, {"A @ X": 6.0})]
    return row("sum, forward and backward, F = 64", seconds, checks)


def attention(graph: Graph, repeat: int, back: bool) -> Row:
    seconds = cases.least_cpu(cases.attention(graph, 64, back), repeat)
    limits: Limits = {"PyG": 8.0, "DGL": 5.0} if back else {"PyG": 12.0, "DGL": 6.0}
    how = "forward and backward" if back else "forward"
    return row(f"GAT, 4 heads of 16, {how}", seconds, against(seconds, limits))


def reduction(graph: Graph, repeat: int, reduce: str, title: str, peer: str) -> Row:
    seconds = cases.least_cpu(cases.reductions(graph, 64, reduce), repeat)
    return row(title, seconds, against(seconds, {peer: 1.5}))


def sampled(graph: Graph, repeat: int) -> Row:
    seconds = cases.least_cpu(cases.sampled(graph, 64), repeat)
    return row("sddmm, F = 64", seconds, against(seconds, {"torch.sparse.sampled_addmm": 1.5}))


def ring(graph: Graph, width: int, repeat: int) -> Row:
    seconds = cases.least_cpu(cases.ring(graph, width), repeat)
    asked = width == 64
    limits: Limits = {"moiety float32": 0.33, "scipy int64": 6.0, "moiety float32, as many bytes": 0.85}
    limits = {peer: limit if asked else None for peer, limit in limits.items()}
    return row(f"ring of 2^64, F = {width}", seconds, against(seconds, limits, "moiety u64"))


def cases_of(scale: int, repeat: int) -> dict[str, Callable[[], Row]]:
    """A measurement for each row; a graph is made by the first one that asks for it."""
    small = functools.cache(cases.cora)
    rmat = functools.cache(lambda: cases.power_law(scale))
    even = functools.cache(lambda: cases.uniform(1 << scale, 4_000_000 >> (17 - scale)))
    limits = {64: 3.0, 128: 2.7, 256: 3.0}
    rows: dict[str, Callable[[], Row]] = {
        "overhead": overhead,
        "cora16": lambda: product("Cora's size", small(), 16, 100 * repeat, {}),
        "cora64": lambda: product("Cora's size", small(), 64, 100 * repeat, {}, 2.0),
        "rmat16": lambda: product("RMAT", rmat(), 16, repeat, {}, 2.0),
    }
    for width, asked in limits.items():
        peers: Limits = {"torch.sparse.mm sum": asked, "A @ X": 4.5}
        rows[f"rmat{width}"] = lambda width=width, peers=peers: product("RMAT", rmat(), width, repeat, peers)
    rows |= {
        "backward": lambda: backward(rmat(), repeat),
        "gat": lambda: attention(rmat(), repeat, False),
        "gat-backward": lambda: attention(rmat(), repeat, True),
        "max": lambda: reduction(
            rmat(), repeat, "max", "max with argument, F = 64", "torch.sparse.mm amax (no argument)"
        ),
        "mean": lambda: reduction(rmat(), repeat, "mean", "mean, F = 64", "torch.sparse.mm mean"),
        "sddmm": lambda: sampled(rmat(), repeat),
        "ring64": lambda: ring(rmat(), 64, repeat),
        "ring128": lambda: ring(rmat(), 128, repeat),
        "threads": lambda: two_threads(rmat(), 128, repeat),
    }
    for width in (64, 128):
        rows[f"uniform{width}"] = lambda width=width: product(
            "uniform", even(), width, repeat, {"torch.sparse.mm sum": 2.0}
        )
    return rows


def main() -> int:
    parser = SHEET.parser(__doc__, list(cases_of(17, 1)))
    parser.add_argument("--scale", type=int, default=17, help="2^scale nodes of the power-law graph")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    return SHEET.measure(cases_of(options.scale, options.repeat), options)


if __name__ == "__main__":
    sys.exit(main())
