"""Counters by party and phase: what the issue of every benchmark and every result is measured with.

A phase's `cpu_seconds` are user and system seconds of all threads of the process; `rounds` are hops; `peak_bytes` is
the peak resident memory of the process while the phase ran (Linux resets the mark at the phase's start; elsewhere it
is the peak since the process began). A server that serves several clients at once counts them together.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

__all__ = ["PHASES", "Meter", "Phase", "Stats"]

PHASES = ("setup", "offline", "online")


@dataclass
class Phase:
    """One party's counters in one phase."""

    bytes_sent: int = 0
    rounds: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_bytes: int = 0
    operators: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(values: Any) -> Phase:
        """From a peer's JSON; what is missing or of another type counts as zero."""
        phase = Phase()
        if isinstance(values, dict):
            for name in ("bytes_sent", "rounds", "cpu_seconds", "wall_seconds", "peak_bytes"):
                if isinstance(value := values.get(name), (int, float)) and not isinstance(value, bool):
                    setattr(phase, name, value)
            if isinstance(operators := values.get("operators"), dict):
                phase.operators = operators
        return phase


class Counted(Protocol):
    """What a meter reads: a link."""

    hops: int

    @property
    def bytes_sent(self) -> int: ...


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _reset_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


class Meter:
    """One party's phases. Frames between two phases count for the later one, so none is lost; see `skip`."""

    def __init__(self, *links: Counted) -> None:
        self.phases = {name: Phase() for name in PHASES}
        self._links: list[Counted] = []
        self._counted = (0, 0)
        for link in links:
            self.add(link)

    def add(self, link: Counted) -> None:
        """Count what this link carries from now on."""
        self._links.append(link)
        self._counted = (self._counted[0] + link.bytes_sent, self._counted[1] + link.hops)

    def skip(self) -> None:
        """Leave out what was carried since the last phase: it was about the counters themselves."""
        self._counted = self._counts()

    def _counts(self) -> tuple[int, int]:
        return sum(link.bytes_sent for link in self._links), sum(link.hops for link in self._links)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        phase = self.phases[name]
        _reset_peak()
        cpu, wall = cpu_seconds(), time.perf_counter()
        try:
            yield phase
        finally:
            phase.cpu_seconds += cpu_seconds() - cpu
            phase.wall_seconds += time.perf_counter() - wall
            (sent, hops), self._counted = self._counted, self._counts()
            phase.bytes_sent += self._counted[0] - sent
            phase.rounds += self._counted[1] - hops
            phase.peak_bytes = max(phase.peak_bytes, _peak_bytes())

    def take(self) -> dict[str, Any]:
        """The phases so far, as plain values; counting starts again."""
        phases = {name: asdict(phase) for name, phase in self.phases.items()}
        self.phases = {name: Phase() for name in PHASES}
        return phases


@dataclass(frozen=True)
class Stats:
    """The counters of all parties in one inference."""

    client: dict[str, Phase]
    server: dict[str, Phase]
    dealer: dict[str, Phase]

    @staticmethod
    def of(client: Any, server: Any, dealer: Any) -> Stats:
        def phases(values: Any) -> dict[str, Phase]:
            values = values if isinstance(values, dict) else {}
            return {name: Phase.of(values.get(name)) for name in PHASES}

        return Stats(phases(client), phases(server), phases(dealer))

    def to_dict(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            party: {name: asdict(phase) for name, phase in getattr(self, party).items()}
            for party in ("client", "server", "dealer")
        }
