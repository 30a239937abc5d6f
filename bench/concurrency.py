"""How well the analyser's seconds fit: every model of the tables on several graphs, predicted and measured.

    python bench/concurrency.py [--machine FILE | --calibrate] [--note TEXT] [--out bench/CONCURRENCY.md]

One thread, CPU time of the process; models and graphs in turns, the least of all passes counts. Nothing is checked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import machine
from moiety.cost.concurrency import analyse, calibrate, load_machine
from moiety.cost.concurrency.calibration import random_graph
from moiety.cost.concurrency.roofline import Machine, default_machine
from moiety.cost.concurrency.zoo import build
from moiety.models import create_model
from sheet import Results, Row, Sheet, at_least, at_most, header, raw_of

SHEET = Sheet(
    "CONCURRENCY",
    "Predicted and measured times of graph networks",
    "One forward pass, one thread, CPU time, the least of all passes; no rate was fitted to a pair of the table.",
    4,
)
REGISTRY = ("gcn", "graphsage", "gat", "gin", "sgc", "appnp")
OTHERS = ("commnet", "attention", "agnn", "monet", "g-gcn", "sage-pool", "edgeconv-1", "edgeconv-5", "cheb", "deepwalk")
# nodes, degree, skewed, features, features between layers, results
GRAPHS = {
    "uniform 2^11, degree 8, 32-32-8": (1 << 11, 8, False, 32, 32, 8),
    "uniform 2^13, degree 24, 64-64-16": (1 << 13, 24, False, 64, 64, 16),
    "power law 2^14, degree 12, 128-64-40": (1 << 14, 12, True, 128, 64, 40),
    "power law 2^15, degree 16, 32-64-32": (1 << 15, 16, True, 32, 64, 32),
    "uniform 2^16, degree 6, 64-32-16": (1 << 16, 6, False, 64, 32, 16),
}


def model(name: str, features: int, hidden: int, classes: int) -> torch.nn.Module:
    """Two layers, or one of four powers; GAT with four heads."""
    if name in OTHERS:
        return build(name, features, classes, hidden, layers=2, powers=4).eval()
    options: dict[str, Any] = {"in_features": features, "num_classes": classes}
    if name == "gat":
        options |= {"hidden": hidden // 4, "heads": 4, "out_heads": 1}
    elif name != "sgc":
        options["hidden"] = hidden
    return create_model(name, **options).eval()


def measured(calls: list[Callable[[], Any]], passes: int, budget: float) -> list[float]:
    """The least CPU seconds of each call, all of them in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(passes):
        for i, call in enumerate(calls):
            spent = 0.0
            while spent < budget:
                start = time.thread_time()
                call()
                taken = time.thread_time() - start
                best[i], spent = min(best[i], taken), spent + taken
    return best


def ranks(values: Any) -> Any:
    return np.argsort(np.argsort(values)).astype(float)


def run(rates: Machine, passes: int, budget: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    calls: list[Callable[[], Any]] = []
    for where, (nodes, degree, skewed, features, hidden, classes) in GRAPHS.items():
        graph = random_graph(nodes, degree, skewed, seed=nodes)
        x = torch.randn(nodes, features)
        for name in (*REGISTRY, *OTHERS):
            torch.manual_seed(0)
            network = model(name, features, hidden, classes)
            made = analyse(network, graph, x=x, row=name, machine=rates)
            totals = made.totals
            rows.append(
                {"model": name, "graph": where, "work": totals.count.work, "depth": totals.depth,
                 "bytes": totals.compulsory, "roofline": totals.roofline, "predicted": totals.seconds}
            )  # fmt: skip
            calls.append(lambda network=network, x=x, graph=graph: network(x, graph))
            print(name, where, f"{1e3 * totals.seconds:.2f} ms", flush=True)
    with torch.inference_mode():
        for row, seconds in zip(rows, measured(calls, passes, budget), strict=True):
            row["measured"] = seconds
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    predicted, seconds = (np.array([row[key] for row in rows]) for key in ("predicted", "measured"))
    miss = predicted / seconds - 1
    return {
        "pairs": len(rows),
        "rank": float(np.corrcoef(ranks(predicted), ranks(seconds))[0, 1]),
        "median": float(np.median(np.abs(miss))),
        "mean": float(np.abs(miss).mean()),
        "worst": float(np.abs(miss).max()),
        "bias": float(miss.mean()),
    }


def report(rows: list[dict[str, Any]], rates: Machine, results: Results, load: str) -> str:
    s = summary(rows)
    missed = ", ".join(f"{kind} {error:.0%}" for kind, error in rates.errors.items())
    made = f"{rates.name}, {rates.made.get('date', '')}, {rates.made.get('samples', 0)} samples"
    facts = header(results["machine"], **{"load average (1 / 5 min)": load, "rates": f"{made}, which miss by {missed}"})
    lines = [
        f"# {SHEET.title}",
        "",
        f"Made by `{results['command']}`, raw figures in `{SHEET.name.lower()}.json`. {SHEET.about}",
        "",
        *([results["note"], ""] if results["note"] else []),
        facts,
        "| pairs | rank correlation | median error | mean error | worst | bias |",
        "|---|---|---|---|---|---|",
        f"| {s['pairs']:.0f} | {s['rank']:.3f} | {s['median']:.1%} | {s['mean']:.1%} | {s['worst']:.1%} | "
        f"{s['bias']:+.1%} |",
        "",
        "| model | graph | work | depth | work/depth | compulsory MiB | roofline ms | predicted | measured | off |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        times = " | ".join(f"{1e3 * r[key]:.2f}" for key in ("roofline", "predicted", "measured"))
        lines.append(
            f"| {r['model']} | {r['graph']} | {r['work']:,} | {r['depth']} | {r['work'] / r['depth']:,.0f} | "
            f"{r['bytes'] / 2**20:.1f} | {times} | {r['predicted'] / r['measured'] - 1:+.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = SHEET.parser(__doc__)
    parser.add_argument("--machine", type=Path, help="of `moiety analyse --calibrate`; without: the shipped one")
    parser.add_argument("--calibrate", action="store_true", help="measure the machine first")
    parser.add_argument("--save", type=Path, help="write the rates of --calibrate there")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.06, help="CPU seconds a pair and pass")
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = machine.load()
    rates = load_machine(options.machine) if options.machine else default_machine()
    if options.calibrate:
        rates = calibrate()
        if options.save:
            rates.save(options.save)
    pairs = run(rates, options.passes, options.budget)
    found = summary(pairs)
    checks = [
        at_least(found["rank"], 0.9, "rank correlation", ""),
        at_most(100 * found["median"], 25, "median error", " %"),
        at_least(found["pairs"], 40, "pairs", ""),
    ]
    results = SHEET.results(options) | {"rows": {"pairs": asdict(Row("predicted against measured", {}, checks))}}
    raw_of(options.out).write_text(json.dumps(results | {"pairs": pairs}, indent=1) + "\n")
    options.out.write_text(report(pairs, rates, results, f"{before} before, {machine.load()} after"))
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
