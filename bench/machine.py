"""The machine: what it is, how busy it is, and the measured peaks that rooflines are drawn from."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from moiety import _core
from moiety._core import crypto

__all__ = ["describe", "load", "peaks", "stolen"]


def stolen() -> float:
    """Seconds, of all processors together, that the host gave to others while this machine wanted them, so far. 0 where
    nobody says."""
    try:
        return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def load() -> str:
    """Load averages of the last 1 and 5 minutes."""
    return "{:.1f} / {:.1f}".format(*os.getloadavg()[:2]) if hasattr(os, "getloadavg") else "unknown"


def _line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "unknown")


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def describe() -> dict[str, str]:
    import torch

    memory = _line("/proc/meminfo", "MemTotal").split()
    changed = _output("git", "status", "--porcelain", "--untracked-files=no")
    features = [name for name, there in _core.cpu_features().items() if there]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "commit": _output("git", "rev-parse", "--short=12", "HEAD") + (" with local changes" if changed else ""),
        "CPU": f"{_line('/proc/cpuinfo', 'model name')} (family {_line('/proc/cpuinfo', 'cpu family')}, "
        f"model {_line('/proc/cpuinfo', 'model')}), {len(os.sched_getaffinity(0))} cores",
        "features": f"{', '.join(features)}; path chosen: {_core.isa()}",
        "memory": f"{int(memory[0]) / 2**20:.1f} GiB" if memory[0].isdigit() else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler of the core": _core.compiler(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _best(call: Callable[[], object], repeats: int) -> float:
    """The least CPU time of the calling thread."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)


def peaks() -> dict[str, float]:
    """A second, one thread: multiply-adds in registers by ring, bytes of a copy (read and written), AES blocks."""
    source = np.ones(1 << 24, np.uint64)  # 128 MiB, beyond every cache
    target = np.zeros_like(source)
    key = bytes(16)

    def aes(log: int) -> float:
        """Blocks a second on 2^log blocks; a cache's size, and calls enough that reading the clock does not count."""
        held = np.ones((1 << log, 16), np.uint8)

        def encrypt() -> None:
            for _ in range(1 << (18 - log)):
                crypto.aes_encrypt(key, held, held)

        return (1 << 18) / _best(encrypt, 20)

    return {
        "u64 MAC/s": max(_core.ring.measure_multiplier_peak(64) for _ in range(5)),
        "u32 MAC/s": max(_core.ring.measure_multiplier_peak(32) for _ in range(5)),
        "copy bytes/s": 2 * source.nbytes / _best(lambda: np.copyto(target, source), 8),
        "AES blocks/s": max(aes(log) for log in (10, 12, 14)),
    }
