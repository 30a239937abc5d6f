"""Zigzag persistence beside dionysus and the published pipeline: bench/TOPOLOGY.md.

    OMP_NUM_THREADS=1 python bench/topology.py [--rows window8 sliding4 ...] [--note TEXT] [--out FILE]

One thread, least CPU time over turns, implementations in turns on the same complexes. Rows are kept in a JSON file
beside the table, so that the slow ones can be measured on their own; a row's machine load stands beside it. Needs
dionysus 2.1.1 (the last release that takes the closed times of the published pipeline) and the road graphs of
`../shared/data`; dionysus 2.2 and GUDHI's C++ where they are (topology_peers.py). A peer that has taken `STOP` seconds
of CPU time is stopped, and what it would have taken is more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import topology_cases as cases
from moiety._core import topology as core
from moiety.topology import Filtration, Mode, Snapshots, snapshots_barcode, snapshots_filtration, zigzag, zigzag_windows
from sheet import Row, Sheet, at_least, at_most, resident
from topology_peers import PEERS, Peers, Taken

SHEET = Sheet(
    "TOPOLOGY",
    "Zigzag persistence",
    "Milliseconds of CPU time, one thread, least over turns; ratios are how many times as fast moiety is. Road graphs "
    "are real, their flows made up (`bench/topology_cases.py`); los_loop's speeds are real. alpha = 0.3.",
    6,
)
ALPHA = 0.3
RANDOM = "2000 random nodes, 6000 edges a snapshot, W = 12"
STOP = 30.0  # CPU seconds after which a peer is stopped


def least(calls: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Milliseconds of CPU, the least of `repeat` turns of all calls."""
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], 1e3 * (time.process_time() - start))
    return found


def passes(filtration: Filtration, ms: float) -> str:
    """How often the barcode's time would read the cells once: their bytes against a copy's rate."""
    source, target = np.ones(1 << 23), np.ones(1 << 23)
    rate = source.nbytes / (least({"copy": lambda: np.copyto(target, source)}, 5)["copy"] / 1e3)
    share = filtration.cells.bytes / rate / (ms / 1e3)
    mib = filtration.cells.bytes / 2**20
    return f"cells are {mib:.2f} MiB, copying them is {100 * share:.0f} % of the time"


def beside(filtration: Filtration, peers: Sequence[str], turns: int) -> tuple[dict[str, Taken], float]:
    """What every peer took, the least over turns, and our milliseconds in the same turns; a stopped peer has one."""
    found: dict[str, Taken] = {}
    ours, few = float("inf"), 10 if len(filtration) < 10**5 else 2
    with Peers(filtration, cases.with_times(filtration), STOP) as external:
        for _ in range(turns):
            ours = min(ours, least({"moiety": lambda: zigzag(filtration)}, few)["moiety"])
            for peer in peers:
                before = found.get(peer)
                if before is None:
                    found[peer] = external.run(peer)
                elif not before.more and not before.missing:
                    found[peer] = min(before, external.run(peer), key=lambda taken: taken.ms)
    return found, ours


def window(title: str, filtration: Filtration, turns: int, asked: dict[str, float | None], ms: float | None) -> Row:
    """asked: how many times as fast as each peer; ms: at most so many."""
    found, ours = beside(filtration, tuple(asked), turns)
    figures: dict[str, float | str] = {"moiety": ours}
    checks = [at_most(ours, ms)]
    for peer, taken in found.items():
        figures[peer] = taken.missing or (f"stopped after {taken.ms:.0f}" if taken.more else taken.ms)
        if not taken.missing:
            checks.append(at_least(taken.ms / ours, asked[peer], f"{peer}{', stopped: more' if taken.more else ''}"))
    _, work = core.barcode(filtration.cells, 1, True, 512, 2.0)
    notes = f"{len(filtration)} simplices, {work['critical']} critical, {len(zigzag(filtration))} bars"
    return Row(f"{title}, barcode only", figures, checks, f"{notes}; {passes(filtration, ours)}")


def road(name: str, steps: int) -> Filtration:
    return snapshots_filtration(cases.road_snapshots(name, steps, ALPHA), mode="code")


def random_window() -> Filtration:
    return snapshots_filtration(cases.random_snapshots(2000, 6000, 12, 0.06), mode="code")


def whole_window(name: str, steps: int) -> Row:
    snapshots, weights = cases.road_snapshots(name, steps, ALPHA), cases.edge_weights(name, steps, ALPHA)

    def reference() -> None:
        cases.dionysus_incremental(*cases.reference_complex(snapshots, weights))

    ours = least({"moiety": lambda: snapshots_barcode(snapshots, mode="code")}, 20)
    ms = least({"moiety": lambda: snapshots_barcode(snapshots, mode="code"), "reference pipeline": reference}, 3)
    ms["moiety"] = min(ms["moiety"], ours["moiety"])
    ms |= least({"moiety paper": lambda: snapshots_barcode(snapshots, mode="paper")}, 20)
    count = len(snapshots_filtration(snapshots, mode="code"))
    paper = len(snapshots_filtration(snapshots, mode="paper"))
    theirs = len(cases.reference_complex(snapshots, weights)[0])
    notes = f"{count} simplices (the pipeline's: {theirs}); `paper` has {paper} cells"
    checks = [
        at_most(ms["moiety"], 6.0),
        at_least(ms["reference pipeline"] / ms["moiety"], 100.0, "reference pipeline"),
    ]
    return Row(f"{name}, W = {steps}, complex and barcode", ms, checks, notes)


def sliding(title: str, snapshots: Snapshots, mode: Mode, limit: float, whole: float | None) -> Row:
    windows: list[int] = []

    def run() -> None:
        found = zigzag_windows(snapshots, 12, mode=mode)
        windows.append(len(found))
        for bars in found:
            windows[0] += 0 * len(bars)

    ms = least({"moiety": run}, 1)
    each = ms["moiety"] / windows[-1]
    checks = [at_most(each, limit, "a window")]
    if whole is not None:
        checks.append(at_most(ms["moiety"] / 1e3, whole, "in all", " s"))
    return Row(f"{title}, sliding windows of 12, {mode}", ms, checks, f"{windows[-1]} windows, each as arrays")


def long_sequence(mode: Mode, asked: float | None) -> Row:
    """Time and memory of one barcode of 300, 3,000 and 30,000 steps, each in a process of its own."""
    found = {}
    whole = cases.road_snapshots("pems08", 30000, ALPHA)
    for steps in (300, 3000, 30000):
        part = whole.steps(0, steps)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "snapshots.npz"
            np.savez(file, nodes=part.num_nodes, start=part.start, tail=part.tail, head=part.head)
            command = [sys.executable, __file__, "--one-sequence", str(file), "--mode", mode]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[steps] = json.loads(out.strip().splitlines()[-1])
    ms = {f"{steps} steps": v["ms"] for steps, v in found.items()}
    memory = ", ".join(f"{v['mib']:.1f} MiB at {steps} steps ({v['bars']} bars)" for steps, v in found.items())
    checks = []
    for a, b in ((300, 3000), (3000, 30000)):
        checks.append(at_most(found[b]["ms"] / found[a]["ms"], asked, f"as long from {a} to {b} steps", "x"))
        checks.append(at_most(found[b]["mib"] / found[a]["mib"], asked, f"the memory from {a} to {b}", "x"))
    return Row(
        f"pems08, one barcode of the whole sequence, {mode}", ms, checks, f"memory on top of the snapshots: {memory}"
    )


def one_sequence(file: Path, mode: Mode) -> None:
    with np.load(file) as arrays:
        snapshots = Snapshots(int(arrays["nodes"]), arrays["start"], arrays["tail"], arrays["head"])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = resident("VmRSS")
    start = time.process_time()
    bars = len(snapshots_barcode(snapshots, mode=mode))
    ms = 1e3 * (time.process_time() - start)
    print(json.dumps({"ms": ms, "mib": max(resident("VmHWM") - before, 1 / 1024), "bars": bars}))


ROWS: dict[str, Callable[[], Row]] = {
    "window8": lambda: window(
        "pems08, W = 12", road("pems08", 12), 3, dict(zip(PEERS, (40, 16, None), strict=True)), 5
    ),
    "whole8": lambda: whole_window("pems08", 12),
    "whole4": lambda: whole_window("pems04", 12),
    "window96": lambda: window("pems04, W = 96", road("pems04", 96), 1, dict.fromkeys(PEERS, 8), None),
    "random": lambda: window(RANDOM, random_window(), 1, dict(zip(PEERS, (200, None, None), strict=True)), 600),
    "sliding4": lambda: sliding("pems04", cases.road_snapshots("pems04", 16992, ALPHA), "code", 1.2, 25.0),
    "loop-code": lambda: sliding("los_loop", cases.speed_snapshots(ALPHA), "code", 12.0, None),
    "loop-paper": lambda: sliding("los_loop", cases.speed_snapshots(ALPHA), "paper", 1.2, None),
    "long": lambda: long_sequence("code", 11.0),
    "long-paper": lambda: long_sequence("paper", None),
}


def main() -> int:
    parser = SHEET.parser(__doc__, list(ROWS))
    parser.add_argument("--one-sequence", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=["code", "paper"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_sequence:
        one_sequence(options.one_sequence, options.mode)
        return 0
    return SHEET.measure(ROWS, options)


if __name__ == "__main__":
    sys.exit(main())
