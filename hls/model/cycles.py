"""Latency and initiation interval of every twin, measured under Verilator: writes cycles.json beside this file.

    python hls/model/cycles.py [--check]

`latency`: cycles from a beat to its result (of a mac tile: from a block's last beat to its first result). `ii`: cycles
a beat when nothing is held back. --check compares with the file that is there and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rtl_bench import TWINS, build, run, to_beats, verilator

CYCLES = Path(__file__).with_name("cycles.json")
BEATS, BLOCK = 240, 8


def measure(binary: Path, twin: str) -> dict[str, Any]:
    """One twin on random beats; a mac tile on blocks of BLOCK beats with two results each."""
    random = np.random.default_rng(7)
    mac = twin.startswith("mac")
    beats = to_beats([(random.integers(0, 2, (BEATS, 512)), 512)])
    if mac:
        at = np.arange(BEATS) % BLOCK
        width = int(twin.removeprefix("mac_"))
        ends = [(at == 0, 1), (at == BLOCK - 1, 1)]
        beats = to_beats([(random.integers(0, 2, (BEATS, 5 * width)), 5 * width), *ends])
    ran = run(binary, twin, beats, 2 * BEATS // BLOCK if mac else BEATS, 1)
    return {
        "latency": ran.first - (BLOCK - 1 if mac else 0),
        "ii": (ran.last_in + 1) / BEATS,
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        binary = build(Path(folder))
        made = {twin: measure(binary, twin) for twin in sorted(TWINS)}
    found = verilator()
    assert found is not None
    version = subprocess.run([found[0], "--version"], env=found[1], capture_output=True, text=True).stdout.strip()
    if given.check:
        there = json.loads(CYCLES.read_text())["twins"]
        for twin, counts in made.items():
            if there.get(twin) != counts:
                print(f"{twin}: cycles.json has {there.get(twin)}, the bench measures {counts}", file=sys.stderr)
        return int(there != made)
    CYCLES.write_text(json.dumps({"tool": version, "twins": made}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
