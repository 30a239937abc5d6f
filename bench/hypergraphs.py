"""The operators on hypergraphs beside the reference algorithm in Python and DHG: bench/HYPERGRAPHS.md.

    OMP_NUM_THREADS=1 python bench/hypergraphs.py [--repeat 20] [--incidences 10000000] [--data DIR] [--note TEXT]
        [--out bench/HYPERGRAPHS.md]

One thread, least CPU time over turns, implementations in turns; the slow peers take fewer turns, and DHG is left out
where it does not import. Signals have 16 columns. Beside a time stand the bytes that cannot be avoided and the share of
the rate at which this machine copies memory; what lies in a cache may beat that. Epochs and memory of training are in
hypergraph_epochs.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import hypergraph_cases as cases
import machine
from graph_cases import Calls, least_cpu
from graphs import row
from moiety.graph import Hypergraph

DATA = Path(os.environ.get("MOIETY_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Of the issue: milliseconds with mediators, times as fast as the reference and as DHG with its first smoothing.
WANTED = {"coauthorship_dblp": (4.0, 300.0, 500.0), "cocitation_pubmed": (1.5, 300.0, 500.0)}
SMALLER = 10  # the generated hypergraph is measured at a tenth of its size too


def copy_rate() -> float:
    """Bytes a second of a copy beyond every cache, read and written."""
    source = np.ones(1 << 24, np.uint64)
    target = np.zeros_like(source)
    seconds = least_cpu({"copy": lambda: np.copyto(target, source)}, 8)["copy"]
    return 2 * source.nbytes / seconds


def share(moved: float, seconds: float, rate: float) -> str:
    return f"{moved / 1e6:.1f} MB at {moved / seconds / 1e9:.1f} GB/s, {100 * moved / seconds / rate:.0f} % of a copy's"


def laplacian(name: str, hypergraph: Hypergraph, mediators: bool, repeat: int, rate: float) -> str:
    calls, slow = cases.laplacians(hypergraph, mediators)
    seconds = least_cpu(calls, repeat) | least_cpu(slow, max(1, repeat // 10))
    # Once more, so that ours is not measured in one half of the run only.
    again = least_cpu(calls, repeat)
    seconds |= {key: min(seconds[key], again[key]) for key in calls}
    most, reference, dhg = WANTED.get(name, (float("inf"), 0.0, 0.0))
    if not mediators:
        most, reference, dhg = float("inf"), 0.0, 0.0
    checks = [(seconds["reference"] / seconds["moiety"], reference, "the reference")]
    if "DHG" in seconds:
        checks.append((seconds["DHG"] / seconds["moiety and product"], dhg, "DHG, both with a product"))
    if most < float("inf"):
        checks.append((most / (1e3 * seconds["moiety"]), 1.0, f"{most:g} ms"))
    graph = hypergraph.laplacian(cases.signal_of(hypergraph), mediators, "code")
    moved = cases.build_bytes(hypergraph, graph)
    title = f"Laplacian {'with mediators' if mediators else 'without'}, {name}"
    return row(title, seconds, checks, share(moved, seconds["moiety"], rate))


def product(name: str, hypergraph: Hypergraph, repeat: int, rate: float) -> list[str]:
    rows = []
    for mediators in (True, False):
        seconds = least_cpu(cases.products(hypergraph, mediators), repeat)
        one, two = list(seconds)[:2], list(seconds)[2:4]
        checks = [(seconds[b] / seconds[a], 1.0, b) for a, b in (one, two)]
        given = seconds["pairs given, without a matrix"]
        title = f"product {'with mediators' if mediators else 'without'}, {name}"
        rows.append(
            row(title, seconds, checks, share(cases.smooth_bytes(hypergraph), given, rate) if mediators else "")
        )
    return rows


def search(name: str, hypergraph: Hypergraph, repeat: int, rate: float) -> str:
    seconds = least_cpu(cases.searches(hypergraph), repeat)
    moved = hypergraph.num_nodes * 4 * cases.WIDTH + 12 * hypergraph.num_incidences
    return row(f"pairs, {name}", seconds, [], share(moved, seconds["projection"], rate))


def scaling(incidences: int, small: Hypergraph, repeat: int) -> list[str]:
    """Nanoseconds an incidence, and two threads against one."""
    kinds = {"DBLP": small, "a tenth": cases.power_law(incidences // SMALLER), "whole": cases.power_law(incidences)}
    found: dict[str, dict[str, float]] = {}
    for name, hypergraph in kinds.items():
        signal = cases.signal_of(hypergraph)
        calls: Calls = {
            "pairs": lambda h=hypergraph, x=signal: h.pairs(x),
            "Laplacian": lambda h=hypergraph, x=signal: h.laplacian(x),
            "without a matrix": lambda h=hypergraph, x=signal: h.smooth(x),
        }
        turns = max(2, min(repeat, repeat * 100_000 // hypergraph.num_incidences))
        per = least_cpu(calls, turns)
        found[name] = {key: value / hypergraph.num_incidences for key, value in per.items()}
    rows = []
    for key in found["DBLP"]:
        seconds = {name: 1e6 * found[name][key] for name in kinds}  # per million incidences: row prints ms of these
        checks = [
            (seconds["a tenth"] / seconds["whole"], 1 / 1.5, "its tenth, an incidence"),
            (seconds["DBLP"] / seconds["whole"], 1 / 3, "DBLP, an incidence"),
        ]
        title = f"{key}, {kinds['whole'].num_incidences} incidences, ms a million incidences"
        rows.append(row(title, seconds, checks))
    rows.append(two_threads(kinds["whole"]))
    return rows


def two_threads(hypergraph: Hypergraph) -> str:
    signal = cases.signal_of(hypergraph)
    wall: dict[str, dict[int, float]] = {}
    for key, call in {
        "Laplacian": lambda: hypergraph.laplacian(signal),
        "without a matrix": lambda: hypergraph.smooth(signal),
    }.items():
        wall[key] = {1: float("inf"), 2: float("inf")}
        for _ in range(3):
            for threads in (1, 2):
                torch.set_num_threads(threads)
                start = time.perf_counter()
                call()
                wall[key][threads] = min(wall[key][threads], time.perf_counter() - start)
    torch.set_num_threads(1)
    seconds = {f"{key}, {n} thread{'s' * (n > 1)} (wall)": value for key, v in wall.items() for n, value in v.items()}
    return row("two threads", seconds, [(v[1] / v[2], 1.7, f"one thread, {key}") for key, v in wall.items()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--incidences", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--note", default="", help="what a reader must know of this run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("HYPERGRAPHS.md"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    load, rate = machine.load(), copy_rate()
    rows = []
    sets = {name: cases.published(options.data, name) for name in WANTED}
    for name, hypergraph in sets.items():
        rows += [laplacian(name, hypergraph, mediators, options.repeat, rate) for mediators in (True, False)]
        rows += product(name, hypergraph, options.repeat, rate)
        rows.append(search(name, hypergraph, options.repeat, rate))
    if options.incidences:
        rows += scaling(options.incidences, sets["coauthorship_dblp"], options.repeat)
    described = "".join(f"- {key}: {value}\n" for key, value in machine.describe().items())
    note = f"\n{options.note}\n" if options.note else ""
    how = f"`python bench/hypergraphs.py {' '.join(sys.argv[1:])}`"
    busy = f"Load average {load} before, {machine.load()} after."
    options.out.write_text(
        f"# Operators on hypergraphs\n\nWritten by {how}. Milliseconds of CPU time, one thread, least over turns, "
        "signals of 16 columns; ratios in bold are short of what issue 5 asks. A copy moves "
        f"{rate / 1e9:.1f} GB/s on one thread.\n\n{busy}\n{note}\n{described}\n"
        "| | ms | times as fast as | must move |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
