"""Zigzag persistence beside dionysus and the published pipeline: bench/TOPOLOGY.md.

    OMP_NUM_THREADS=1 python bench/topology.py [--rows window8 sliding4 ...] [--note TEXT] [--out bench/TOPOLOGY.md]

One thread, least CPU time over turns, implementations in turns on the same complexes. Rows are kept in a JSON file
beside the table, so that the slow ones can be measured on their own; a row's machine load stands beside it. Needs
dionysus 2.1.1 (the last release that takes the closed times of the published pipeline) and the road graphs of
`../shared/data`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import machine
import topology_cases as cases
from moiety._core import topology as core
from moiety.topology import Filtration, Mode, Snapshots, snapshots_barcode, snapshots_filtration, zigzag, zigzag_windows

Row = dict[str, Any]
ALPHA = 0.3


def least(calls: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Milliseconds of CPU, the least of `repeat` turns of all calls."""
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name] = min(found[name], 1e3 * (time.process_time() - start))
    return found


def row(title: str, ms: dict[str, float], notes: str, targets: list[tuple[str, float, float]]) -> Row:
    """targets: what, reached, wanted; a negative `wanted` is at most its absolute value."""
    return {"title": title, "ms": ms, "notes": notes, "targets": targets, "load": machine.load()}


def passes(filtration: Filtration, ms: float) -> str:
    """How often the barcode's time would read the cells once: their bytes against a copy's rate."""
    source, target = np.ones(1 << 23), np.ones(1 << 23)
    rate = source.nbytes / (least({"copy": lambda: np.copyto(target, source)}, 5)["copy"] / 1e3)
    share = filtration.cells.bytes / rate / (ms / 1e3)
    mib = filtration.cells.bytes / 2**20
    return f"cells are {mib:.2f} MiB, copying them is {100 * share:.0f} % of the time"


def window(name: str, steps: int, repeat: int, fast: bool, targets: dict[str, float], limit: float | None) -> Row:
    filtration = snapshots_filtration(cases.road_snapshots(name, steps, ALPHA), mode="code")
    simplices, times = cases.with_times(filtration)
    peer = cases.dionysus.Filtration(simplices)
    ours = least({"moiety": lambda: zigzag(filtration)}, 20)
    ms = least(
        {"moiety": lambda: zigzag(filtration), "dionysus incremental": lambda: cases.dionysus_incremental(peer, times)},
        repeat,
    )
    ms["moiety"] = min(ms["moiety"], ours["moiety"])
    if fast:
        ms |= least({"dionysus fast_zigzag": lambda: cases.dionysus_fast(peer, times)}, 1)
    checks = [(f"times {peer_name}", ms[peer_name] / ms["moiety"], wanted) for peer_name, wanted in targets.items()]
    if limit is not None:
        checks.append(("ms", ms["moiety"], -limit))
    bars = zigzag(filtration)
    notes = f"{len(filtration)} simplices, {len(bars)} bars; {passes(filtration, ms['moiety'])}"
    return row(f"{name}, W = {steps}, barcode only", ms, notes, checks)


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
        ("ms", ms["moiety"], -6.0),
        ("times reference pipeline", ms["reference pipeline"] / ms["moiety"], 100.0),
    ]
    return row(f"{name}, W = {steps}, complex and barcode", ms, notes, checks)


def random_window(nodes: int, edges: int, peer: bool) -> Row:
    filtration = snapshots_filtration(cases.random_snapshots(nodes, edges, 12, 0.06), mode="code")
    ms = least({"moiety": lambda: zigzag(filtration)}, 3)
    checks = [("s", ms["moiety"] / 1e3, -0.6)] if nodes == 2000 else []
    if peer:
        simplices, times = cases.with_times(filtration)
        held = cases.dionysus.Filtration(simplices)
        ms |= least({"dionysus incremental": lambda: cases.dionysus_incremental(held, times)}, 1)
        checks.append(("times dionysus incremental", ms["dionysus incremental"] / ms["moiety"], 200.0))
    _, work = core.barcode(filtration.cells, 1, True, 512, 2.0)
    notes = f"{len(filtration)} simplices, {work['critical']} critical; {passes(filtration, ms['moiety'])}"
    return row(f"{nodes} random nodes, {edges} edges a snapshot, W = 12, barcode only", ms, notes, checks)


def sliding(title: str, snapshots: Snapshots, mode: Mode, limit: float, whole: float | None) -> Row:
    windows: list[int] = []

    def run() -> None:
        found = zigzag_windows(snapshots, 12, mode=mode)
        windows.append(len(found))
        for bars in found:
            windows[0] += 0 * len(bars)

    ms = least({"moiety": run}, 1)
    each = ms["moiety"] / windows[-1]
    checks = [("ms a window", each, -limit)]
    if whole is not None:
        checks.append(("s in all", ms["moiety"] / 1e3, -whole))
    return row(f"{title}, sliding windows of 12, {mode}", ms, f"{windows[-1]} windows, each as arrays", checks)


def long_sequence() -> Row:
    """Time and memory of one barcode of 300, 3,000 and 30,000 steps, each in a process of its own."""
    found = {}
    whole = cases.road_snapshots("pems08", 30000, ALPHA)
    for steps in (300, 3000, 30000):
        part = whole.steps(0, steps)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "snapshots.npz"
            np.savez(file, nodes=part.num_nodes, start=part.start, tail=part.tail, head=part.head)
            command = [sys.executable, __file__, "--one-sequence", str(file)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[steps] = json.loads(out.strip().splitlines()[-1])
    ms = {f"{steps} steps": v["ms"] for steps, v in found.items()}
    memory = ", ".join(f"{v['mib']:.1f} MiB at {steps} steps ({v['bars']} bars)" for steps, v in found.items())
    checks = []
    for a, b in ((300, 3000), (3000, 30000)):
        checks.append((f"times as long from {a} to {b} steps", found[b]["ms"] / found[a]["ms"], -11.0))
        checks.append((f"times the memory from {a} to {b}", found[b]["mib"] / found[a]["mib"], -11.0))
    return row(
        "pems08, one barcode of the whole sequence, code", ms, f"memory on top of the snapshots: {memory}", checks
    )


def resident(key: str) -> int:
    """KiB of this process: VmRSS now, VmHWM at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def one_sequence(file: Path) -> None:
    with np.load(file) as arrays:
        snapshots = Snapshots(int(arrays["nodes"]), arrays["start"], arrays["tail"], arrays["head"])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = resident("VmRSS")
    start = time.process_time()
    bars = len(snapshots_barcode(snapshots, mode="code"))
    ms = 1e3 * (time.process_time() - start)
    print(json.dumps({"ms": ms, "mib": max(resident("VmHWM") - before, 1) / 1024, "bars": bars}))


ROWS: dict[str, Callable[[], Row]] = {
    "window8": lambda: window("pems08", 12, 3, True, {"dionysus incremental": 40.0, "dionysus fast_zigzag": 16.0}, 5.0),
    "whole8": lambda: whole_window("pems08", 12),
    "whole4": lambda: whole_window("pems04", 12),
    "window96": lambda: window("pems04", 96, 1, False, {"dionysus incremental": 8.0}, None),
    "random": lambda: random_window(2000, 6000, False),
    "random-peer": lambda: random_window(2000, 6000, True),
    "sliding4": lambda: sliding("pems04", cases.road_snapshots("pems04", 16992, ALPHA), "code", 1.2, 25.0),
    "loop-code": lambda: sliding("los_loop", cases.speed_snapshots(ALPHA), "code", 12.0, None),
    "loop-paper": lambda: sliding("los_loop", cases.speed_snapshots(ALPHA), "paper", 1.2, None),
    "long": long_sequence,
}


def judged(checks: list[list[Any]]) -> str:
    words = []
    for what, reached, wanted in checks:
        met = reached >= wanted if wanted >= 0 else reached <= -wanted
        limit = f"at least {wanted:g}" if wanted >= 0 else f"at most {-wanted:g}"
        words.append(f"{reached:.3g} {what}" if met else f"**{reached:.3g} {what} ({limit})**")
    return ", ".join(words)


def written(results: dict[str, Row], note: str) -> str:
    lines = []
    for name in ROWS:
        if name in results:
            r = results[name]
            times = ", ".join(f"{who} {value:.3g}" for who, value in r["ms"].items())
            lines.append(f"| {r['title']} | {times} | {judged(r['targets'])} | {r['notes']} | {r['load']} |")
    described = "".join(f"- {name}: {value}\n" for name, value in machine.describe().items())
    return (
        "# Zigzag persistence\n\nWritten by `python bench/topology.py`. Milliseconds of CPU time, one thread, least "
        "over turns; in bold what is short of what issue 6 asks. Road graphs are real, their flows made up "
        "(`bench/topology_cases.py`); los_loop's speeds are real. alpha = 0.3.\n\n"
        f"{note}\n\n{described}\n| | ms | reached | what | load 1 / 5 min |\n|---|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[n for n in ROWS if n != "random-peer"], choices=list(ROWS))
    parser.add_argument("--note", default="", help="what a reader must know of this run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("TOPOLOGY.md"))
    parser.add_argument("--one-sequence", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_sequence:
        one_sequence(options.one_sequence)
        return 0
    kept = options.out.with_name("topology.json")
    results: dict[str, Row] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in options.rows:
        results[name] = json.loads(json.dumps(ROWS[name]()))
        print(name, results[name]["ms"], judged(results[name]["targets"]), results[name]["notes"], flush=True)
        kept.write_text(json.dumps(results, indent=1) + "\n")
    options.out.write_text(written(results, options.note))
    return 0


if __name__ == "__main__":
    sys.exit(main())
