"""Measuring a cost table on the real engine: two parties and a dealer, every operator, sizes from small to large.

Each sample is the difference between two chains of one operator, divided by how many more the longer has: what one more
of them takes where it stands in a program, Python and wake-ups included, start and end of a run left out. Of the
repeats of a chain the least counts: whatever else runs on the machine only adds.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from moiety import __version__, _core
from moiety.private.plan import plan
from moiety.private.program import Program
from moiety.private.transport import Network

from .fit import fit, misses
from .hops import operation_hops, requests_of
from .micro import SIDE_BY_SIDE, chain
from .table import Table, Terms
from .timeline import LinkTerms
from .trio import Trio
from .work import Work, work_of

__all__ = ["Case", "cases", "machine", "profile"]

Progress = Callable[[int, int, str], None]

FULL_SIZES = (64, 512, 2048, 8192, 32768, 131072)
QUICK_SIZES = (64, 4096, 32768)
CONVS = (  # channels, filters, size, kernel, stride
    (3, 16, 32, 3, 1),
    (16, 16, 32, 3, 1),
    (16, 32, 32, 3, 2),
    (16, 32, 32, 1, 2),
    (32, 32, 16, 3, 1),
    (64, 64, 8, 3, 1),
    (64, 128, 8, 1, 2),
    (128, 128, 4, 3, 1),
    (256, 256, 4, 3, 1),
    (64, 64, 28, 3, 1),
    (64, 256, 14, 1, 1),
    (3, 64, 64, 7, 2),
)
DEPTHWISE = ((16, 32, 3, 1), (32, 16, 3, 1), (96, 28, 3, 2), (384, 14, 3, 1), (960, 7, 3, 1))
MATRICES = ((32, 10), (128, 10), (128, 100), (512, 10), (512, 1000))
POOLS = ((16, 32, 2, 2), (32, 16, 2, 2), (64, 8, 2, 2), (64, 56, 3, 2))
RTT_MS = (1.0, 5.0, 40.0)  # at which the cost of waking is measured


@dataclass(frozen=True)
class Case:
    """One operator of one size."""

    row: str
    kind: str
    ring: int
    shape: dict[str, int]
    batch: int = 1
    comparison: str = "circuit"
    more: int = 8  # operators that the longer chain has more


def cases(quick: bool = False) -> list[Case]:
    """What a profile measures."""
    sizes = QUICK_SIZES if quick else FULL_SIZES
    found: list[Case] = []

    def add(row: str, kind: str, shape: dict[str, int], **more: Any) -> None:
        found.append(Case(row, kind, ring, shape, **more))

    for ring in (64, 32):
        for n in sizes:
            for kind in ("open", "truncate", "shift", "extend", "square", "multiply", "move"):
                add(kind, kind, {"n": n} | ({"bits": 24} if kind == "extend" else {}))
            add("x2", "x2", {"n": n, "channels": 16})
            for protocol in ("circuit", "dcf"):
                for bits in (24,) if quick else (16, 24, 31):
                    if n <= 32768:
                        add(protocol, "relu", {"n": n, "bits": bits}, comparison=protocol, more=6)
        for n in (10, 1000):
            add("output", "output", {"n": n, "bits": 24})
            for protocol in ("circuit", "dcf"):
                shape = {"n": n, "bits": 24}
                add(f"argmax-{protocol}", "argmax", shape, comparison=protocol, more=4)
        for channels, filters, size, kernel, stride in CONVS[::3] if quick else CONVS:
            shape = {"channels": channels, "filters": filters, "size": size, "kernel": kernel, "stride": stride}
            add("linear", "conv", shape)
        for inputs, outputs in MATRICES[::2] if quick else MATRICES:
            add("linear", "linear", {"inputs": inputs, "outputs": outputs})
        for channels, size, kernel, stride in DEPTHWISE[::2] if quick else DEPTHWISE:
            add("depthwise", "depthwise", {"channels": channels, "size": size, "kernel": kernel, "stride": stride})
        for channels, size, kernel, stride in POOLS[::2] if quick else POOLS:
            shape = {"channels": channels, "size": size, "kernel": kernel, "stride": stride}
            add("sumpool", "avgpool", shape)
            for protocol in ("circuit", "dcf"):
                add(f"maxpool-{protocol}", "maxpool", {**shape, "bits": 24}, comparison=protocol, more=3)
    # A batch only makes tensors longer, which the samples of 8 confirm.
    eight = ("relu", "conv", "truncate", "x2", "maxpool", "avgpool")
    small = [case for case in found if case.kind in eight and case.shape.get("n", 2048) == 2048]
    keep = {(case.row, case.ring): case for case in reversed(small)}.values()
    return found + [Case(c.row, c.kind, c.ring, c.shape, 8, c.comparison, c.more) for c in keep]


def work_of_one(case: Case) -> Work:
    """What one operator of the case does, in the terms of its row."""
    program = chain(case.kind, 1, ring=case.ring, **case.shape)
    made = plan(program, case.batch, case.comparison)
    requests = requests_of(made)
    for index, op in enumerate(program.ops):
        span = requests.get(index, range(0))
        work = work_of(program, made, op, span, operation_hops(program, made, op, span))
        if work.row == case.row:
            return work
    raise ValueError(f"operator {case.kind} has no {case.row}")


def _least(trio: Trio, program: Program, case: Case, repeats: int) -> tuple[float, list[float]]:
    samples = trio.run(program, batch=case.batch, comparison=case.comparison, repeats=repeats)
    walls = [sample.seconds for sample in samples]
    return min(walls), walls


def _marginal(trio: Trio, case: Case, repeats: int, parallel: bool = False) -> tuple[float, list[list[float]]]:
    """Seconds of one more operator, and the raw seconds of both chains."""
    counts = (0, 1) if case.kind == "output" else (1, 1 + case.more)
    if case.kind == "output":
        # There is one output a program: its row has the whole run, which is nothing else.
        long, raw = _least(trio, chain("output", 1, ring=case.ring, **case.shape), case, repeats)
        return long, [[], raw]
    (short, first), (long, second) = (
        _least(trio, chain(case.kind, count, ring=case.ring, parallel=parallel, **case.shape), case, repeats)
        for count in counts
    )
    return (long - short) / case.more, [first, second]


def _link(network: Network, threads: int, repeats: int) -> LinkTerms:
    """The hop's own seconds: a chain of the smallest exchange against as many side by side; then the cost of waking."""
    case = Case("truncate", "truncate", 64, {"n": 1}, more=15)
    with Trio(threads=threads) as trio:
        chained = _marginal(trio, case, 3 * repeats)[0]
        beside = _marginal(trio, case, 3 * repeats, parallel=True)[0]
    hop = max(chained - beside, 0.0)
    sleep = []
    for rtt_ms in sorted({*RTT_MS, *([network.rtt_ms] if network.rtt_ms > 0 else [])}):
        with Trio(Network(rtt_ms=rtt_ms), threads=threads) as trio:
            shaped = _marginal(trio, case, repeats)[0]
        sleep.append((rtt_ms * 0.5e-3, max(shaped - chained - rtt_ms * 0.5e-3, 0.0)))
    return LinkTerms(hop, tuple(sleep))


def profile(
    network: Network | None = None, *, quick: bool = False, threads: int = 1, progress: Progress | None = None
) -> Table:
    """A cost table of this machine; `network` shapes the parties' link while it is made.

    A full profile takes minutes, a quick one, with a third of the sizes, well under one.
    """
    network = network or Network()
    repeats = 5 if quick else 9
    every = cases(quick)
    started, load = time.time(), os.getloadavg()
    step = progress or (lambda done, total, what: None)
    step(0, len(every), "link")
    link = _link(network, threads, repeats)
    raw: list[dict[str, Any]] = []
    with Trio(network, threads=threads) as trio:
        for done, case in enumerate(every):
            step(done, len(every), f"{case.row}, {case.ring} bits")
            seconds, walls = _marginal(trio, case, repeats)
            work = work_of_one(case)
            raw.append({**asdict(case), "work": asdict(work), "seconds": seconds, "walls": walls})
    step(len(every), len(every), "fit")
    made = {
        **machine(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(started)),
        "network": {"rtt_ms": network.rtt_ms, "mbit": network.mbit},
        "threads": threads,
        "quick": quick,
        "seconds": round(time.time() - started, 1),
        "load": {"before": load, "after": os.getloadavg()},
    }
    return Table(fit_rows(raw, link, network), link, made, tuple(raw))


def fit_rows(raw: list[dict[str, Any]], link: LinkTerms, network: Network) -> dict[int, dict[str, Terms]]:
    """The rows of a table, from its samples."""
    grouped: dict[tuple[int, str], list[tuple[list[float], float]]] = {}
    for sample in raw:
        work = Work(**sample["work"])
        seconds = _computed(sample["kind"], work, sample["seconds"], link, network)
        features = [float(work.rounds), float(work.bytes), float(work.work)]
        grouped.setdefault((sample["ring"], sample["row"]), []).append((features, seconds))
    # An opening can only be repeated with a product behind it: what that takes comes off.
    rings: dict[int, dict[str, Terms]] = {}
    for ring, row in sorted(grouped, key=lambda key: key[1] == "open"):
        points = grouped[ring, row]
        if row == "open":
            points = [_without_product(features, seconds, rings[ring]["depthwise"], ring) for features, seconds in points]
        points = [(features, max(seconds, 1e-7)) for features, seconds in points]
        features, seconds = [f for f, _ in points], [s for _, s in points]
        terms = fit(features, seconds)
        error = float(misses(features, seconds, terms).mean())
        rings.setdefault(ring, {})[row] = Terms(*(float(term) for term in terms), error=error, samples=len(points))
    return rings


def _computed(kind: str, work: Work, seconds: float, link: LinkTerms, network: Network) -> float:
    """A sample without what the network takes, and with its hops where they were shared."""
    if not work.rounds or work.row in ("shift", "move", "sumpool", "linear", "depthwise", "open"):
        return seconds
    if kind in SIDE_BY_SIDE:
        return seconds + link.hop * work.rounds - _transfer(work, network)
    waited = network.rtt_ms * 0.5e-3 + _transfer(work, network) / work.rounds
    waking = link.waking(waited) if waited > 0 else 0.0
    return seconds - work.rounds * (waited + waking)


def _transfer(work: Work, network: Network) -> float:
    """Seconds that the messages take on the link: both directions carry the same at the same time."""
    return work.bytes / 2 * 8e-6 / network.mbit if network.mbit > 0 else 0.0


def _without_product(features: list[float], seconds: float, product: Terms, ring: int) -> tuple[list[float], float]:
    n = features[2]
    return features, seconds - product.seconds(Work("depthwise", 1, int(3 * n * ring // 8), n))


def machine() -> dict[str, Any]:
    """What a table's figures belong to."""
    return {
        "cpu": next(_lines("/proc/cpuinfo", "model name"), platform.processor() or "unknown"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "kernels": _core.isa(),
        "system": f"{platform.system()} {platform.release()}",
        "compiler": _core.compiler(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "moiety": __version__,
    }


def _lines(path: str, key: str) -> Iterator[str]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return
    yield from (line.split(":", 1)[1].strip() for line in lines if line.startswith(key))
