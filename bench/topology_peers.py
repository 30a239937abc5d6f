"""The peers of bench/topology.py, each in a process of its own with a limit of CPU time.

dionysus 2.1.1 is that of this environment; 2.2, which refuses the published pipeline's times, that of the environment
in $MOIETY_DIONYSUS or .venv-dionysus of this repository; GUDHI's zigzag, which its wheel does not have, is compiled
from the headers in $MOIETY_GUDHI (folders, separated by colons: GUDHI's and Boost's). bench/README.md says how they
were had.

As a program it is the process: python bench/topology_peers.py incremental|fast FILE LIMIT
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from moiety.topology import Filtration

__all__ = ["PEERS", "Peers", "Taken"]

ROOT = Path(__file__).parents[1]
DRIVER = Path(__file__).with_name("topology_gudhi.cpp")
PEERS = ("dionysus 2.1.1 incremental", "dionysus 2.2 fast_zigzag", "GUDHI C++")


@dataclass(frozen=True)
class Taken:
    """What a peer took; `more` where it was stopped then. `missing` says why there is nothing."""

    ms: float = 0.0
    more: bool = False
    missing: str = ""


def cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def limit_cpu(seconds: float) -> None:
    """The process is stopped once it has taken so many more."""
    whole = int(cpu() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 5))


@cache
def driver(folder: str) -> tuple[Path | None, str]:
    """GUDHI's program, compiled into a folder."""
    include = os.environ.get("MOIETY_GUDHI", "")
    if not include:
        return None, "no headers named in $MOIETY_GUDHI"
    program = Path(folder) / "topology_gudhi"
    flags = [flag for place in include.split(":") for flag in ("-isystem", place)]
    made = subprocess.run(
        ["c++", "-std=c++17", "-O3", "-DNDEBUG", "-march=native", *flags, str(DRIVER), "-o", str(program)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (program, "") if made.returncode == 0 else (None, f"it does not compile: {made.stderr.strip()[:120]}")


class Peers:
    """One filtration, as all of the peers read it. With `with`: the files go away."""

    def __init__(self, filtration: Filtration, timed: tuple[list[list[int]], list[list[float]]], limit: float) -> None:
        self._folder = TemporaryDirectory()
        self._limit = limit
        simplices, times = timed
        lengths = np.array([len(s) for s in simplices])
        np.savez(self._file("timed.npz"), length=lengths, vertex=np.concatenate(simplices), times=np.array(times))
        events(filtration).tofile(self._file("events"))

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def run(self, peer: str) -> Taken:
        """One turn of a peer."""
        if peer == "GUDHI C++":
            program, why = driver("/tmp")
            if program is None:
                return Taken(missing=why)
            return self._run([str(program), str(self._file("events")), "1"], lambda: limit_cpu(self._limit))
        python, how = sys.executable, "incremental"
        if peer == "dionysus 2.2 fast_zigzag":
            python = str(Path(os.environ.get("MOIETY_DIONYSUS", ROOT / ".venv-dionysus")) / "bin" / "python")
            how = "fast"
            if not Path(python).exists():
                return Taken(missing=f"no environment at {Path(python).parents[1]}")
        return self._run([python, __file__, how, str(self._file("timed.npz")), str(self._limit)], None)

    def _run(self, command: list[str], before: Any) -> Taken:
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=before)
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return Taken(1e3 * self._limit, more=True)
        if done.returncode:
            return Taken(missing=f"it ended with {done.returncode}: {' '.join(done.stderr.split())[-120:]}")
        return Taken(json.loads(done.stdout.strip().splitlines()[-1])["ms"])


def events(filtration: Filtration) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The numbers that topology_gudhi.cpp reads; what is there in the last complex stays."""
    cells = filtration.cells
    start, face = cells.boundary()
    enter, leave, dimension = cells.enter(), cells.exit(), cells.dimension()
    count, names = len(cells), np.arange(len(cells))
    going = leave + 1 < cells.positions
    position = np.concatenate([enter, leave[going] + 1])
    order = np.concatenate([dimension.astype(np.int64), -dimension[going].astype(np.int64)])
    cell = np.concatenate([names, names[going]])
    inserts = np.concatenate([np.ones(count, bool), np.zeros(int(going.sum()), bool)])
    number = np.zeros(count, np.int64)  # of the event that inserts a cell
    said: list[int] = []
    for event, k in enumerate(np.lexsort((cell, order, position)).tolist()):
        c = int(cell[k])
        if not inserts[k]:
            said += [-1, int(number[c])]
            continue
        number[c] = event
        faces = number[face[start[c] : start[c + 1]]].tolist()
        said += [int(dimension[c]), len(faces), *sorted(faces)]
    return np.array(said, np.int32)


def main() -> int:
    how, file, limit = sys.argv[1:]
    import dionysus

    with np.load(file) as arrays:
        ends = np.cumsum(arrays["length"])[:-1]
        simplices = [v.tolist() for v in np.split(arrays["vertex"], ends)]
        times = arrays["times"].tolist()
    if how == "fast":  # it refuses a simplex that leaves when it enters: all leave later, but before the next enter
        times = [[a, b + 0.25] for a, b in times]
    held = dionysus.Filtration(simplices)
    limit_cpu(float(limit))
    start = time.process_time()
    if how == "fast":
        cone = dionysus.fast_zigzag(held, times)
        dionysus.init_zigzag_diagrams(dionysus.homology_persistence(cone), cone)
    else:
        dionysus.zigzag_homology_persistence(held, times)
    print(json.dumps({"ms": 1e3 * (time.process_time() - start)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
