"""When each party does what: the run of a program as two clocks, one a party.

The loop is the executor's (`moiety.private.flow`), so rounds and bytes are the counters'. A party's clock advances by
what it computes. A hop moves one frame each way at the same time: a party writes its own frame, then waits until the
other's is there. What a party need not wait for costs it nothing: the client goes on while the server multiplies, and
the server waits for the later of its own work and the client's frame. A frame leaves a link of `mbit` Mbit/s when the
one before it has left, and arrives half a round trip later (csrc/mpc/channel.hpp does the same to shaped traffic).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from moiety.private.flow import run_flow
from moiety.private.program import Program
from moiety.private.transport import Network

from .hops import FRAME_HEADER, Hops

__all__ = ["LinkTerms", "Run", "Step", "simulate"]


@dataclass(frozen=True)
class LinkTerms:
    """Seconds of a party beside the network's: `hop` for a hop it takes part in, and what it costs to have waited.

    `sleep` are pairs (seconds waited, seconds more), rising: a process that slept finds its caches and its core's clock
    cold, the more so the longer it slept. Between the pairs the cost runs straight over the logarithm of the wait.
    """

    hop: float
    sleep: tuple[tuple[float, float], ...] = ()

    def waking(self, waited: float) -> float:
        """Seconds that a wait costs beside itself."""
        if not self.sleep:
            return 0.0
        (shortest, least), *rest = self.sleep
        if waited <= shortest:
            return least * waited / shortest
        for (a, low), (b, high) in pairwise(self.sleep):
            if waited <= b:
                return low + (high - low) * math.log(waited / a) / math.log(b / a)
        return rest[-1][1] if rest else least


@dataclass(frozen=True)
class Step:
    """One operation (or check): its hops and either party's computation, spread evenly before and after them."""

    hops: Hops
    server: float = 0.0
    client: float = 0.0


@dataclass
class Run:
    """`seconds` is when both parties are done; `parts[op]` sum up to it: by how much each operation, its hops included,
    put off the later clock (hops in common: by payload)."""

    rounds: int = 0
    bytes_server: int = 0
    bytes_client: int = 0
    seconds: float = 0.0
    parts: dict[int, float] = field(default_factory=dict)


@dataclass
class _UnderWay:
    owner: int  # the operation that the time is booked on
    hops: Hops
    server: float  # seconds after each hop
    client: float


class _Clocks:
    """Drives the flow with sizes and seconds in place of messages."""

    def __init__(self, steps: Sequence[Step], checks: Mapping[int, Step], link: LinkTerms, network: Network) -> None:
        self.steps, self.checks, self.link = steps, checks, link
        self.shaped = network.rtt_ms > 0 or network.mbit > 0
        self.delay = network.rtt_ms * 0.5e-3
        self.byte_seconds = 8e-6 / network.mbit if network.mbit > 0 else 0.0
        self.server = self.client = 0.0
        self.free_server = self.free_client = 0.0  # when either direction of the link is free
        self.under_way: dict[int, _UnderWay] = {}
        self.checking: list[_UnderWay] = []
        self.run = Run(parts=dict.fromkeys(range(len(steps)), 0.0))

    def later(self) -> float:
        return max(self.server, self.client)

    def begin(self, owner: int, step: Step) -> _UnderWay:
        parts = len(step.hops) + 1
        task = _UnderWay(owner, list(step.hops), step.server / parts, step.client / parts)
        self.advance(task)
        return task

    def advance(self, task: _UnderWay) -> None:
        before = self.later()
        self.server += task.server
        self.client += task.client
        self.run.parts[task.owner] += self.later() - before

    def start(self, index: int) -> bool:
        task = self.begin(index, self.steps[index])
        if index in self.checks:
            self.checking.append(self.begin(index, self.checks[index]))
        if task.hops:
            self.under_way[index] = task
        return not task.hops

    def hop(self) -> list[int]:
        tasks = [*self.under_way.values(), *self.checking]
        sizes = [task.hops.pop(0) for task in tasks]
        server, client = (sum(side) + FRAME_HEADER * any(side) for side in zip(*sizes, strict=True))
        self.run.rounds += 1
        self.run.bytes_server += server
        self.run.bytes_client += client
        before = self.later()
        self.exchange(server, client)
        share = (self.later() - before) / sum(1 + sum(size) for size in sizes)
        for task, size in zip(tasks, sizes, strict=True):
            self.run.parts[task.owner] += share * (1 + sum(size))
        for task in tasks:
            self.advance(task)
        self.checking = [task for task in self.checking if task.hops]
        finished = [index for index, task in self.under_way.items() if not task.hops]
        for index in finished:
            del self.under_way[index]
        return finished

    def exchange(self, server: int, client: int) -> None:
        """One frame of `server` bytes to the client and one of `client` bytes to the server (0: none)."""
        link = self.link
        self.free_server = max(self.server, self.free_server) + server * self.byte_seconds
        self.free_client = max(self.client, self.free_client) + client * self.byte_seconds
        self.server += link.hop
        self.client += link.hop
        # On a plain link a frame is there when it is written.
        to_client = self.free_server + self.delay if self.shaped else self.server
        to_server = self.free_client + self.delay if self.shaped else self.client
        if server and to_client > self.client:
            self.client = to_client + (link.waking(to_client - self.client) if self.shaped else 0.0)
        if client and to_server > self.server:
            self.server = to_server + (link.waking(to_server - self.server) if self.shaped else 0.0)

    def finish(self, verdict: Sequence[Hops]) -> Run:
        last = len(self.steps) - 1
        for hops in ([], *verdict):
            if hops:
                self.checking = [_UnderWay(last, list(hops), 0.0, 0.0)]
            while verdict and self.checking:
                self.hop()
        self.run.seconds = self.later()
        return self.run


def simulate(
    program: Program,
    steps: Sequence[Step],
    link: LinkTerms,
    network: Network,
    *,
    checks: Mapping[int, Step] | None = None,
    verdict: Sequence[Hops] = (),
) -> Run:
    """The run of `program` whose operation i costs `steps[i]`; `checks[i]` are the range checks of its results, and
    `verdict` what follows them."""
    clocks = _Clocks(steps, checks or {}, link, network)
    run_flow(program, clocks.start, clocks.hop)
    return clocks.finish(verdict)
