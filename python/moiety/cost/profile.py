"""Measuring a cost table on the real engine: two parties and a dealer, every operator, sizes from small to large.

Each sample is the difference between two chains of one operator, divided by how many more the longer has: what one more
of them takes where it stands in a program, Python and wake-ups included, start and end of a run left out. Everything is
measured in several passes, minutes apart, and of the runs of a chain the median counts: a program is a long sum of
operations, whose typical times add up where their luckiest do not. What else runs on the machine is left out as far as
the parties' CPU-seconds tell.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
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
from .trio import Sample, Trio
from .work import FEW, SERVED, Work, work_of

__all__ = ["Case", "cases", "machine", "profile"]

Progress = Callable[[int, int, str], None]

_WITHOUT_HOPS = (
    *SERVED,
    "shift",
    "move",
    "sumpool",
    "spmm",
    "open",
)  # in a chain: nobody waits for an opening's sender
FULL_SIZES = (64, 1024, 8192, 65536)
QUICK_SIZES = (64, 1024, 16384)
SMALL = 8192  # elements
CONVS = (  # channels, filters, size, kernel, stride
    (3, 16, 32, 3, 1),
    (16, 16, 32, 3, 1),
    (16, 32, 32, 3, 2),
    (16, 32, 32, 1, 2),
    (32, 32, 16, 3, 1),
    (64, 64, 32, 3, 1),
    (128, 48, 32, 3, 2),
    (128, 128, 16, 3, 1),
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
GRAPHS = (  # channels, nodes, degree
    (16, 60, 4),
    (16, 1000, 4),
    (16, 4000, 16),
    (64, 2700, 4),
    (8, 15000, 8),
    (40, 2700, 40),
)
RTT_MS = (1.0, 5.0, 40.0)  # at which the cost of waking is measured


@dataclass(frozen=True)
class Case:
    """One operator of one size."""

    row: str
    kind: str
    ring: int
    shape: Mapping[str, Any]
    batch: int = 1
    comparison: str = "circuit"
    more: int = 8  # operators that the longer chain has more


def _more(kind: str, n: int) -> int:
    """By how many operators the longer chain of elementwise ones is longer: small ones drown in a run's noise else."""
    if kind in ("shift", "move"):
        return 60 if n <= SMALL else 40
    if kind in ("truncate", "extend"):
        return 15  # a chain's fraction bits
    return 24 if n <= SMALL else 8


def cases(quick: bool = False) -> list[Case]:
    """What a profile measures."""
    sizes = QUICK_SIZES if quick else FULL_SIZES
    found: list[Case] = []

    for ring in (64, 32):

        def add(row: str, kind: str, shape: dict[str, int], ring: int = ring, **more: Any) -> None:
            found.append(Case(row, kind, ring, shape, **more))

        for n in sizes:
            for kind in ("open", "truncate", "shift", "extend", "square", "multiply", "move"):
                shape = {"n": n} | ({"bits": 24} if kind == "extend" else {})
                add(kind, kind, shape, more=_more(kind, n))
            add("x2", "x2", {"n": n, "channels": 16}, more=_more("x2", n))
            for protocol in ("circuit", "dcf"):
                for bits in (24,) if quick else (16, 20, 31):
                    if n <= 8192 or (n <= 65536 and protocol == "circuit"):
                        add(protocol, "relu", {"n": n, "bits": bits}, comparison=protocol, more=_more("relu", n))
        for n in (10, 1000):
            add("output", "output", {"n": n, "bits": 24})
            for protocol in ("circuit", "dcf"):
                shape = {"n": n, "bits": 24}
                add(f"argmax-{protocol}", "argmax", shape, comparison=protocol, more=4)
        for channels, filters, size, kernel, stride in CONVS[::3] if quick else CONVS:
            shape = {"channels": channels, "filters": filters, "size": size, "kernel": kernel, "stride": stride}
            few = (size // stride) ** 2 <= FEW
            add("matvec" if few else "linear", "conv", shape, more=24)
        for inputs, outputs in MATRICES[::2] if quick else MATRICES:
            add("matvec", "linear", {"inputs": inputs, "outputs": outputs}, more=32)
        for channels, size, kernel, stride in DEPTHWISE[::2] if quick else DEPTHWISE:
            shape = {"channels": channels, "size": size, "kernel": kernel, "stride": stride}
            add("depthwise", "depthwise", shape, more=32)
        for channels, size, kernel, stride in POOLS[::2] if quick else POOLS:
            shape = {"channels": channels, "size": size, "kernel": kernel, "stride": stride}
            add("sumpool", "avgpool", shape, more=24)
            for protocol in ("circuit", "dcf"):
                add(f"maxpool-{protocol}", "maxpool", {**shape, "bits": 24}, comparison=protocol, more=3)
        for channels, nodes, degree in GRAPHS[::2] if quick else GRAPHS:
            add("spmm", "spmm", {"channels": channels, "nodes": nodes, "degree": degree}, more=24)
    # A batch only makes tensors longer, which the samples of 8 confirm.
    eight = ("circuit", "dcf", "linear", "truncate", "x2", "maxpool-circuit", "maxpool-dcf", "sumpool")
    small = [case for case in found if case.row in eight and case.shape.get("n", 2048) == 2048]
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


def _chains(case: Case, parallel: bool = False) -> tuple[Program, Program]:
    """A short and a long one. There is one output a program: its row has the whole run, which is nothing else."""
    counts = (0, 0) if case.kind == "output" else (1, 1 + case.more)
    short, long = (chain(case.kind, count, ring=case.ring, parallel=parallel, **case.shape) for count in counts)
    return short, long


class _Measured:
    """The runs of both chains of a case, over all passes."""

    def __init__(self, case: Case, parallel: bool = False) -> None:
        self.case = case
        self.chains = _chains(case, parallel)
        self.work = work_of_one(case)
        self.samples: tuple[list[Sample], list[Sample]] = ([], [])

    def run(self, trio: Trio, repeats: int) -> None:
        for program, samples in zip(self.chains, self.samples, strict=True):
            case = self.case
            samples += trio.run(program, batch=case.batch, comparison=case.comparison, repeats=repeats)

    def wall(self) -> float:
        """Seconds of one more operator."""
        return self._marginal(lambda sample: sample.seconds)

    def cpu(self) -> float:
        """CPU-seconds of one more operator, of the party that has more."""
        return max(self._marginal(lambda sample: sample.cpu_server), self._marginal(lambda sample: sample.cpu_client))

    def _marginal(self, counter: Callable[[Sample], float]) -> float:
        short, long = (median(map(counter, samples)) for samples in self.samples)
        return long if self.case.kind == "output" else (long - short) / self.case.more

    def seconds(self, idle: float) -> float:
        """Of one more operator on a machine that does nothing else: on a busy one the wall says more, but what a party
        computes and the waits of its hops, `idle` seconds each, say the same."""
        hops = 0 if self.case.kind in SIDE_BY_SIDE or self.work.row in _WITHOUT_HOPS else self.work.rounds
        return min(self.wall(), max(self.cpu(), 0.0) + hops * idle)


class _Link:
    """What the link takes: the hop's own seconds, by a chain of the smallest exchange against as many side by side; the
    cost of waking; and the seconds of a hop in which a party only waits, without shaping."""

    def __init__(self, network: Network, threads: int, stack: ExitStack) -> None:
        case = Case("truncate", "truncate", 64, {"n": 1}, more=15)
        self._plain = stack.enter_context(Trio(threads=threads))
        self._chained, self._beside = _Measured(case), _Measured(case, parallel=True)
        self._shaped = {
            rtt_ms: (stack.enter_context(Trio(Network(rtt_ms=rtt_ms), threads=threads)), _Measured(case))
            for rtt_ms in sorted({*RTT_MS, *([network.rtt_ms] if network.rtt_ms > 0 else [])})
        }

    def run(self) -> None:
        """One pass."""
        self._chained.run(self._plain, 8)
        self._beside.run(self._plain, 8)
        for rtt_ms, (trio, measured) in self._shaped.items():
            measured.run(trio, max(1, round(8 / rtt_ms)))

    @property
    def terms(self) -> LinkTerms:
        hop = self._chained.wall()
        sleep = []
        for rtt_ms, (_, measured) in self._shaped.items():
            waited = rtt_ms * 0.5e-3
            sleep.append((waited, max(measured.wall() - hop - waited, 0.0)))
        return LinkTerms(max(hop - self._beside.wall(), 0.0), tuple(sleep))

    @property
    def idle(self) -> float:
        return max(self._chained.wall() - self._chained.cpu(), 0.0)


def profile(
    network: Network | None = None, *, quick: bool = False, threads: int = 1, progress: Progress | None = None
) -> Table:
    """A cost table of this machine; `network` shapes the parties' link while it is made.

    A full profile takes minutes, a quick one, with a third of the sizes and half the runs of each, about one.
    """
    network = network or Network()
    passes, repeats = (2, 8) if quick else (8, 4)
    every = [_Measured(case) for case in cases(quick)]
    started, load = time.time(), os.getloadavg()
    step = progress or (lambda done, total, what: None)
    with ExitStack() as stack:
        trio = stack.enter_context(Trio(network, threads=threads))
        exchanges = _Link(network, threads, stack)
        for done, one in enumerate(passes * every):
            if done % len(every) == 0:  # in every pass, so that no one busy moment decides
                step(done, passes * len(every), "link")
                exchanges.run()
            step(done, passes * len(every), f"{one.case.row}, {one.case.ring} bits")
            one.run(trio, repeats)
    link, idle = exchanges.terms, exchanges.idle
    shaped = network != Network()
    raw = [
        {
            **asdict(one.case),
            "work": asdict(one.work),
            "seconds": one.wall() if shaped else one.seconds(idle),
            "runs": [
                [[round(v, 7) for v in (s.seconds, s.cpu_server, s.cpu_client)] for s in samples]
                for samples in one.samples
            ],
        }
        for one in every
    ]
    step(passes * len(every), passes * len(every), "fit")
    made = {
        **machine(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(started)),
        "network": {"rtt_ms": network.rtt_ms, "mbit": network.mbit},
        "threads": threads,
        "idle": idle,
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
        computed = _computed(sample["kind"], work, sample["seconds"], link, network)
        features = [float(work.rounds), float(work.bytes), float(work.work)]
        grouped.setdefault((sample["ring"], sample["row"]), []).append((features, computed))
    # An opening can only be repeated with a product behind it: what that takes comes off.
    rings: dict[int, dict[str, Terms]] = {}
    for ring, row in sorted(grouped, key=lambda key: key[1] == "open"):
        points = grouped[ring, row]
        if row == "open":
            product = rings[ring]["depthwise"]
            points = [_without_product(features, seconds, product, ring) for features, seconds in points]
        works = [features for features, _ in points]
        seconds = [max(taken, 1e-7) for _, taken in points]
        terms = fit(works, seconds)
        a, b, c = (float(term) for term in terms)
        error = float(misses(works, seconds, terms).mean())
        rings.setdefault(ring, {})[row] = Terms(a, b, c, error=error, samples=len(points))
    return rings


def _computed(kind: str, work: Work, seconds: float, link: LinkTerms, network: Network) -> float:
    """A sample without what the network takes, and with its hops where they were shared."""
    if work.row in _WITHOUT_HOPS:
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
