"""Measures the cases of `cases.py`. Every figure is the least over repetitions unless said; none is checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

import numpy as np
import torch

from cases import Kernel, Network, Protocol
from moiety import private, ring
from moiety.private.protocols import measure
from moiety.private.stats import Phase, Stats
from networks import resnet18

__all__ = ["compiled", "kernel", "network", "protocol", "summary", "work"]

PARTIES = ("client", "server", "dealer")


def _operands(case: Kernel, quick: bool) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shapes of both operands and the number of multiply-adds."""
    shape = case.tiny if quick else case.shape
    if case.kind == "matmul":
        m, k, n = shape
        return (m, k), (k, n), m * k * n
    channels, filters, extent, size = shape
    return (1, channels, extent, extent), (filters, channels, size, size), filters * channels * (size * extent) ** 2


def kernel(case: Kernel, quick: bool, seconds: float = 6.0) -> dict[str, Any]:
    """Least CPU seconds of the calling thread for u64, u32, torch int64 and torch fp32, taken in turns."""
    left, right, macs = _operands(case, quick)
    random = np.random.default_rng(0)
    calls: dict[str, Callable[[], object]] = {}
    for name, dtype in (("u64", np.uint64), ("u32", np.uint32)):
        a, b = (random.integers(0, 1 << 32, shape, np.uint64).astype(dtype) for shape in (left, right))
        if case.kind == "matmul":
            calls[name] = lambda a=a, b=b: ring.matmul(a, b, threads=1)
        else:
            calls[name] = lambda a=a, b=b: ring.conv(a, b, padding=b.shape[-1] // 2, threads=1)
    for name, kind in (("torch int64", torch.int64), ("torch fp32", torch.float32)):
        x, y = (torch.randint(-(1 << 20), 1 << 20, shape).to(kind) for shape in (left, right))
        if case.kind == "matmul":
            calls[name] = lambda x=x, y=y: x @ y
        else:
            calls[name] = lambda x=x, y=y: torch.conv2d(x, y, padding=y.shape[-1] // 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = dict.fromkeys(calls, float("inf"))
    try:
        end = time.perf_counter() + (0.0 if quick else seconds)
        turns = 0
        while turns < 3 or (time.perf_counter() < end and turns < 2000):
            for name, call in calls.items():
                start = time.thread_time()
                call()
                best[name] = min(best[name], time.thread_time() - start)
            turns += 1
    finally:
        torch.set_num_threads(threads)
    items = sum(int(np.prod(shape)) for shape in (left, right)) + _products(left, right, case.kind)
    return {"macs": macs, "items": items, "turns": turns, "seconds": best}


def _products(left: tuple[int, ...], right: tuple[int, ...], kind: str) -> int:
    """Elements of the result."""
    return left[0] * right[1] if kind == "matmul" else right[0] * left[2] * left[3]


def _phase(runs: list[Stats], party: str, name: str) -> dict[str, Any]:
    phases: list[Phase] = [getattr(run, party)[name] for run in runs]
    return {
        "cpu_s": min(phase.cpu_seconds for phase in phases),
        "wall_s": min(phase.wall_seconds for phase in phases),
        "wall_median_s": median(phase.wall_seconds for phase in phases),
        "bytes": min(phase.bytes_sent for phase in phases),
        "rounds": max(phase.rounds for phase in phases),
        "peak_bytes": max(phase.peak_bytes for phase in phases),
    }


def summary(runs: list[Stats]) -> dict[str, Any]:
    """Counters by phase and party, and the figures that the tables show."""
    phases = {name: {party: _phase(runs, party, name) for party in PARTIES} for name in ("offline", "online")}
    online, offline = phases["online"], phases["offline"]
    pair = ("client", "server")
    together = [
        {
            party: getattr(run, party)["offline"].cpu_seconds + getattr(run, party)["online"].cpu_seconds
            for party in PARTIES
        }
        for run in runs
    ]
    return {
        "repeats": len(runs),
        "phases": phases,
        "online_cpu_s": max(online[party]["cpu_s"] for party in pair),
        "online_bytes": sum(online[party]["bytes"] for party in pair),
        "online_wall_s": max(online[party]["wall_s"] for party in pair),
        "online_wall_median_s": max(online[party]["wall_median_s"] for party in pair),
        "rounds": max(online[party]["rounds"] for party in pair),
        "offline_bytes": sum(offline[party]["bytes"] for party in PARTIES),
        "together_cpu_s": max(min(run[party] for run in together) for party in pair),
        "dealer_cpu_s": min(run["dealer"] for run in together),
        "peak_bytes": max(phase[party]["peak_bytes"] for phase in phases.values() for party in pair),
    }


def work(settings: dict[str, Any]) -> dict[str, int]:
    """What the online phase of one party cannot do without: multiply-adds, AES blocks, and elements of 8 bytes moved.

    The elements are the shares that go in and the one that comes out. Correlations expanded offline are not counted.
    """
    name, n, bits = settings["name"], settings.get("n", 0), settings.get("bits", 64)
    shape = settings.get("shape")
    compared, elements, macs = 0, 2 * n, 0
    if name == "relu":
        compared = n
    elif name in ("mul", "square"):
        elements, macs = 3 * n if name == "mul" else 2 * n, 2 * n
    elif name == "matmul":
        m, k, columns = shape or (512, 512, 512)
        elements, macs = m * k + k * columns + m * columns, m * k * columns
    elif name == "conv":
        channels, filters, extent, size = shape or (64, 64, 56, 3)
        elements = (channels + filters) * extent**2 + filters * channels * size**2
        macs = filters * channels * (size * extent) ** 2
    elif name == "maxpool":
        channels, extent, size, stride = shape or (64, 56, 2, 2)
        windows = (extent - size) // stride + 1
        elements, bits = channels * (extent**2 + windows**2), bits + 1
        compared = channels * (size - 1) * (extent * windows + windows**2)
    dcf = settings.get("comparison") == "dcf"
    return {"macs": macs, "aes_blocks": compared * (2 * max(0, bits - 8) + 1) if dcf else 0, "elements": elements}


def _operators(run: Stats) -> dict[str, float]:
    """Online CPU seconds by kind of operation, of the larger party."""
    phase = max((run.client["online"], run.server["online"]), key=lambda p: p.cpu_seconds)
    return {kind: row.get("cpu_seconds", 0.0) for kind, row in phase.operators.items()}


def protocol(case: Protocol, quick: bool, repeat: int = 5) -> dict[str, Any]:
    """`private.bench` several times: three fresh processes each."""
    settings = case.arguments(quick)
    runs = [measure(**settings) for _ in range(1 if quick else repeat)]
    return {"settings": settings, "work": work(settings), **summary(runs)}


@cache
def _compiled(key: str, **arguments: Any) -> tuple[private.Program, torch.Tensor]:
    model, images = resnet18(**arguments)
    return private.compile(model, images[:1], calibration=images), images[:1]


def compiled(case: Network, quick: bool) -> tuple[private.Program, torch.Tensor]:
    """The program and an input of batch 1."""
    return _compiled(case.key, **{**case.arguments, **(case.tiny if quick else {})})


def network(case: Network, comparison: str, quick: bool) -> dict[str, Any]:
    """One session with several inferences. The first carries the setup; the summary is of those after it."""
    program, x = compiled(case, quick)
    result = private.run_local(program, x, comparison=comparison, repeat=2 if quick else case.repeat, timeout=300.0)
    first, later = result.runs[0], list(result.runs[1:])
    setup = {party: _phase([first], party, "setup") for party in PARTIES}
    total = summary(later)
    peak = max(
        getattr(run, party)[name].peak_bytes
        for run in result.runs
        for party in ("client", "server")
        for name in ("setup", "offline", "online")
    )
    return {
        **total,
        "operators": _operators(later[-1]),
        "peak_bytes": peak,
        "setup": setup,
        "setup_cpu_s": max(setup[party]["cpu_s"] for party in ("client", "server")),
        "setup_bytes": sum(setup[party]["bytes"] for party in PARTIES),
        "first": summary([first]),
    }
