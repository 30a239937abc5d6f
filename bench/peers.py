"""Runs the peers' scripts, each in its own environment, and reads the JSON lines that they print.

The scripts are looked for in $MOIETY_PEERS or ../shared/peers, the environments in $MOIETY_CRYPTEN and $MOIETY_SPU or
in .venv-crypten and .venv-spu of this repository (bench/README.md). What is missing is said, row by row.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["PEERS", "run_peers"]

ROOT = Path(__file__).parents[1]
OPERATIONS = ("relu16", "relu20", "mul20", "matmul512", "matvec4096x1000", "conv64", "maxpool64x56", "resnet18")

# Name: script, environment, arguments, operations that are run, seconds that each call may take, one call an operation.
PEERS: dict[str, tuple[str, str, list[str], tuple[str, ...], float, bool]] = {
    "CrypTen TTP": ("crypten_bench.py", "crypten", ["--provider", "TTP"], OPERATIONS, 240.0, False),
    "SPU SEMI2K": ("spu_bench.py", "spu", ["--prot", "SEMI2K", "--field", "64"], OPERATIONS, 360.0, False),
    "SPU CHEETAH": (
        "spu_bench.py",
        "spu",
        ["--prot", "CHEETAH", "--field", "64", "--reps", "1", "--base", "19720"],
        ("relu16", "mul20", "maxpool64x56", "conv64"),
        60.0,
        True,
    ),
}
UNTRIED = "left out for time: tens of CPU-seconds a party or more"


def _scripts() -> Path | None:
    places = [os.environ.get("MOIETY_PEERS"), ROOT.parent / "shared" / "peers"]
    return next((Path(place).resolve() for place in places if place and (Path(place) / "netns.sh").is_file()), None)


def _python(name: str) -> Path:
    return Path(os.environ.get(f"MOIETY_{name.upper()}", ROOT / f".venv-{name}")) / "bin" / "python"


def _run(command: list[str], limit: float) -> tuple[list[dict[str, Any]], str]:
    """The records printed until the end or the limit, and what went wrong."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=limit)
        lines = output.strip().splitlines()
        wrong = (
            f"ended with code {process.returncode}: {lines[-1][:120] if lines else ''}" if process.returncode else ""
        )
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the parties are its children
        output, _ = process.communicate()
        wrong = f"longer than {limit:.0f} s"
    records = []
    rounds = None  # SPU logs how often it sent before the record of the same run
    for line in output.splitlines():
        if found := re.search(r"Link details: .*send actions (\d+)", line):
            rounds = int(found[1])
        elif line.startswith("{"):
            with contextlib.suppress(json.JSONDecodeError):
                records.append({"rounds": rounds, **json.loads(line)})
    return records, wrong


def _best(records: list[dict[str, Any]], operation: str, counted: bool) -> dict[str, Any] | None:
    """The repetition with the least CPU time."""
    found = [r for r in records if r.get("op") == operation and "cpu_s" in r]
    if not found:
        return None
    best = min(found, key=lambda r: r["cpu_s"])
    row = {"cpu_s": best["cpu_s"], "wall_s": min(r["wall_s"] for r in found), "repeats": len(found)}
    if counted:
        row["mib"] = min(r["mib_lo"] for r in found)
    if best.get("rounds") is not None:
        row["rounds"] = best["rounds"]
    return row


def run_peers(names: list[str]) -> dict[str, dict[str, Any]]:
    """By peer, by operation: CPU and wall seconds, MiB in both directions, rounds where told; or {"missing": why}."""
    results: dict[str, dict[str, Any]] = {}
    scripts = _scripts()
    counted = False
    if scripts is not None:
        try:
            counted = (
                subprocess.run([str(scripts / "netns.sh"), "true"], capture_output=True, timeout=20).returncode == 0
            )
        except (OSError, subprocess.TimeoutExpired):
            counted = False
    for name in names:
        script, environment, arguments, operations, limit, alone = PEERS[name]
        python = _python(environment)
        rows: dict[str, Any] = {operation: {"missing": UNTRIED} for operation in OPERATIONS}
        if scripts is None:
            rows = {
                operation: {"missing": "no scripts in $MOIETY_PEERS or ../shared/peers"} for operation in OPERATIONS
            }
        elif not python.exists():
            rows = {operation: {"missing": f"no environment at {python.parents[1]}"} for operation in OPERATIONS}
        else:
            prefix = [str(scripts / "netns.sh")] if counted else []
            for group in [[o] for o in operations] if alone else [list(operations)]:
                command = [*prefix, str(python), str(scripts / script), *arguments, "--ops", ",".join(group)]
                print("  ", " ".join(command), flush=True)
                records, wrong = _run(command, limit)
                for operation in group:
                    rows[operation] = _best(records, operation, counted) or {"missing": wrong or "printed nothing"}
        results[name] = rows
    return results
