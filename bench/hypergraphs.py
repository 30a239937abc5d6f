"""The operators on hypergraphs beside the reference algorithm in Python and DHG: bench/HYPERGRAPHS.md.

    OMP_NUM_THREADS=1 python bench/hypergraphs.py [--rows ...] [--repeat 20] [--incidences 10000000] [--data DIR]
        [--note TEXT] [--out FILE]

One thread, least CPU time over turns, implementations in turns; the slow peers take fewer turns, and DHG is left out
where it does not import. Signals have 16 columns. "reference" is the published program's way to a Laplacian, step by
step; "the same with one dictionary" leaves out what a lean program would (hypergraph_cases.py). Beside a time stand the
bytes that cannot be avoided and the share of the rate at which this machine copies memory, which a cache may beat.
Epochs and memory of training are in hypergraph_epochs.py.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import hypergraph_cases as cases
from graph_cases import least_cpu
from graphs import row
from moiety.graph import Hypergraph
from sheet import Row, Sheet, at_least, at_most

SHEET = Sheet(
    "HYPERGRAPHS",
    "Operators on hypergraphs",
    "Milliseconds of CPU time, one thread, least over turns, signals of 16 columns; ratios are how many times as fast "
    "moiety is. Beside them the bytes that cannot be avoided and their share of a copy's rate in the same run.",
    5,
)
DATA = Path(os.environ.get("MOIETY_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Of the issue: milliseconds with mediators, times as fast as the reference and as DHG with its first smoothing.
WANTED: dict[str, tuple[float, float, float]] = {
    "coauthorship_dblp": (4.0, 300.0, 500.0),
    "cocitation_pubmed": (1.5, 300.0, 500.0),
}
REFERENCE = {"coauthorship_dblp": 1165, "cocitation_pubmed": 444}  # milliseconds, of the published program itself
SMALLER = 10  # the generated hypergraph is measured at a tenth of its size too


@functools.cache
def copy_rate() -> float:
    """Bytes a second of a copy beyond every cache, read and written."""
    source = np.ones(1 << 24, np.uint64)
    target = np.zeros_like(source)
    seconds = least_cpu({"copy": lambda: np.copyto(target, source)}, 8)["copy"]
    return 2 * source.nbytes / seconds


def share(moved: float, seconds: float) -> str:
    rate = copy_rate()
    return f"{moved / 1e6:.1f} MB at {moved / seconds / 1e9:.1f} GB/s, {100 * moved / seconds / rate:.0f} % of a copy's"


def laplacian(name: str, hypergraph: Hypergraph, mediators: bool, repeat: int) -> Row:
    calls, slow = cases.laplacians(hypergraph, mediators)
    seconds = least_cpu(calls, repeat) | least_cpu(slow, max(1, repeat // 4))
    # Once more, so that ours is not measured in one half of the run only.
    again = least_cpu(calls, repeat)
    seconds |= {key: min(seconds[key], again[key]) for key in calls}
    most, reference, dhg = WANTED[name] if mediators else (None, None, None)
    checks = [at_least(seconds["reference"] / seconds["moiety"], reference, "the reference")]
    checks.append(
        at_least(seconds["the same with one dictionary"] / seconds["moiety"], None, "the same with one dictionary")
    )
    if "DHG" in seconds:
        checks.append(at_least(seconds["DHG"] / seconds["moiety and product"], dhg, "DHG, both with a product"))
    if most is not None:
        checks.append(at_most(1e3 * seconds["moiety"], most))
    graph = hypergraph.laplacian(cases.signal_of(hypergraph), mediators, "code")
    moved = cases.build_bytes(hypergraph, graph)
    notes = share(moved, seconds["moiety"])
    if most is not None:  # the ratio is of a reference on another machine
        here, there = 1e3 * seconds["reference"], REFERENCE[name]
        notes += f"; {most:g} ms are {here / most:.0f}x this reference and {there / most:.0f}x the issue's {there} ms"
    notes += "; reference: the published program's steps, written anew"
    title = f"Laplacian {'with mediators' if mediators else 'without'}, {name}"
    return row(title, seconds, checks, notes)


def product(name: str, hypergraph: Hypergraph, mediators: bool, repeat: int) -> Row:
    seconds = least_cpu(cases.products(hypergraph, mediators), repeat)
    one, two = list(seconds)[:2], list(seconds)[2:4]
    checks = [at_least(seconds[b] / seconds[a], 1.0, b) for a, b in (one, two)]
    given = seconds["pairs given, without a matrix"]
    notes = share(cases.smooth_bytes(hypergraph), given) if mediators else ""
    return row(f"product {'with mediators' if mediators else 'without'}, {name}", seconds, checks, notes)


def search(name: str, hypergraph: Hypergraph, repeat: int) -> Row:
    seconds = least_cpu(cases.searches(hypergraph), repeat)
    moved = hypergraph.num_nodes * 4 * cases.WIDTH + 12 * hypergraph.num_incidences
    return row(f"pairs, {name}", seconds, [], share(moved, seconds["projection"]))


def reading(hypergraph: Hypergraph, signal: Tensor) -> Callable[[], object]:
    """8 bytes of the node of every incidence, in their order: what memory alone makes of more incidences."""
    place = signal[:, :2].contiguous().view(torch.float64).flatten()
    found = torch.empty(hypergraph.num_incidences, dtype=torch.float64)
    return lambda: torch.index_select(place, 0, hypergraph.indices, out=found)


# What is called for a hypergraph and a signal, and whether anything is asked of it.
SCALED: dict[str, tuple[Callable[[Hypergraph, Tensor], Callable[[], object]], bool]] = {
    "pairs": (lambda h, x: lambda: h.pairs(x), True),
    "Laplacian": (lambda h, x: lambda: h.laplacian(x), True),
    "without a matrix": (lambda h, x: lambda: h.smooth(x), True),
    "reading 8 bytes of every incidence's node": (reading, False),
}


def scaling(key: str, kinds: dict[str, Hypergraph], repeat: int) -> Row:
    """Milliseconds a million incidences."""
    per = {}
    make, asked = SCALED[key]
    for name, hypergraph in kinds.items():
        call = make(hypergraph, cases.signal_of(hypergraph))
        turns = max(5, min(repeat, repeat * 100_000 // hypergraph.num_incidences))
        per[name] = 1e6 * least_cpu({key: call}, turns)[key] / hypergraph.num_incidences
    checks = [
        at_least(per["a tenth"] / per["whole"], 1 / 1.5 if asked else None, "its tenth, an incidence"),
        at_least(per["DBLP"] / per["whole"], 1 / 3 if asked else None, "DBLP, an incidence"),
    ]
    return row(f"{key}, {kinds['whole'].num_incidences} incidences, ms a million incidences", per, checks)


def two_threads(hypergraph: Hypergraph) -> Row:
    signal = cases.signal_of(hypergraph)
    wall: dict[str, dict[int, float]] = {}
    for key, call in {
        "Laplacian": lambda: hypergraph.laplacian(signal),
        "without a matrix": lambda: hypergraph.smooth(signal),
    }.items():
        wall[key] = {1: float("inf"), 2: float("inf")}
        for _ in range(6):
            for threads in (1, 2):
                torch.set_num_threads(threads)
                start = time.perf_counter()
                call()
                wall[key][threads] = min(wall[key][threads], time.perf_counter() - start)
    torch.set_num_threads(1)
    seconds = {f"{key}, {n} thread{'s' * (n > 1)} (wall)": value for key, v in wall.items() for n, value in v.items()}
    return row("two threads", seconds, [at_least(v[1] / v[2], 1.7, f"one thread, {key}") for key, v in wall.items()])


def rows_of(data: Path, repeat: int, incidences: int) -> dict[str, Callable[[], Row]]:
    """A measurement for each row; a hypergraph is made by the first one that asks for it."""
    load = functools.cache(lambda name: cases.published(data, name))
    rows: dict[str, Callable[[], Row]] = {}
    for name in WANTED:
        short = name.split("_")[1]
        for mediators in (True, False):
            key = f"{short}{'' if mediators else '-without'}"
            rows[f"{key}-laplacian"] = lambda n=name, m=mediators: laplacian(n, load(n), m, repeat)
            rows[f"{key}-product"] = lambda n=name, m=mediators: product(n, load(n), m, repeat)
        rows[f"{short}-pairs"] = lambda n=name: search(n, load(n), repeat)
    if incidences:

        @functools.cache
        def kinds() -> dict[str, Hypergraph]:
            small, large = cases.power_law(incidences // SMALLER), cases.power_law(incidences)
            return {"DBLP": load("coauthorship_dblp"), "a tenth": small, "whole": large}

        for key in SCALED:
            rows[f"scaling-{key.split()[0].lower()}"] = lambda key=key: scaling(key, kinds(), repeat)
        if len(os.sched_getaffinity(0)) > 1:
            rows["threads"] = lambda: two_threads(kinds()["whole"])
    return rows


def main() -> int:
    parser = SHEET.parser(__doc__, list(rows_of(DATA, 1, 1)))
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--incidences", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    return SHEET.measure(rows_of(options.data, options.repeat, options.incidences), options)


if __name__ == "__main__":
    sys.exit(main())
