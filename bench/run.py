"""Measures kernels, protocols, networks and peers in one run and writes the report and its raw figures.

    python bench/run.py --out bench/RESULTS.md [--quick] [--skip-peers]
    python bench/run.py --collect                       # nothing is measured: report and tables anew from raw figures

The report ends with what the other tables of its folder reached (sheet.py). What cannot be measured is a row that says
why; the run goes on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import measure
from activations import activation
from cases import ACTIVATIONS, KERNELS, NETWORKS, PROTOCOLS
from peers import PEERS, run_peers
from report import render
from sheet import rewrite


def attempt(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The measurement, or why there is none: a bench reports what fails and goes on."""
    try:
        return call()
    except Exception as error:
        print(f"  not measured: {error!r}", flush=True)
        words = " ".join(str(error).split())[:200]
        return {"missing": f"{type(error).__name__}: {words}".replace("|", "/")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: tries the machinery, measures nothing")
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--collect", action="store_true", help="measure nothing: report and tables from raw figures")
    parser.add_argument("--note", default="", help="what a reader must know of this run, such as what else was running")
    options = parser.parse_args()
    quick, raw = options.quick, options.out.with_name("results.json")
    if options.collect:
        rewrite(options.out.parent)
        options.out.write_text(render(json.loads(raw.read_text()), options.out.parent))
        print(f"wrote {options.out}")
        return 0

    start = time.perf_counter()
    results: dict[str, Any] = {
        "command": shlex.join(["python", "bench/run.py", *sys.argv[1:]]),
        "quick": quick,
        "note": options.note,
        "machine": machine.describe(),
        "load": {},
    }
    at_start = machine.load()

    def section(name: str, rows: dict[str, Callable[[], dict[str, Any]]]) -> None:
        before = machine.load()
        results[name] = {}
        for key, call in rows.items():
            print(f"{time.perf_counter() - start:6.1f} s  {name}: {key}", flush=True)
            results[name][key] = attempt(call)
        results["load"][name] = [before, machine.load()]

    results["peaks"] = machine.peaks()
    section("kernels", {case.key: lambda case=case: measure.kernel(case, quick) for case in KERNELS})
    section("activations", {case.key: lambda case=case: activation(case, quick) for case in ACTIVATIONS})
    section("protocols", {case.key: lambda case=case: measure.protocol(case, quick) for case in PROTOCOLS})
    runs = [(case, comparison) for case in NETWORKS for comparison in case.comparisons]
    section(
        "networks",
        {f"{case.key} {how}": lambda case=case, how=how: measure.network(case, how, quick) for case, how in runs},
    )
    before = machine.load()
    results["peers"] = {} if options.skip_peers else run_peers(list(PEERS))
    results["load"]["peers"] = [before, machine.load()]
    results["load"]["run"] = [at_start, machine.load()]
    results["seconds"] = time.perf_counter() - start

    options.out.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(json.dumps(results, indent=1, default=float) + "\n")
    options.out.write_text(render(results, options.out.parent))
    print(f"wrote {options.out} and {raw}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
