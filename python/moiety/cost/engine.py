"""The cost of this engine: rounds and bytes from closed formulas, seconds from a cost table and two clocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moiety.private.plan import Plan, comparing, comparison_kinds, plan, spell
from moiety.private.program import Program
from moiety.private.transport import Network

from .choose import OFFLINE_BUDGET, Option, fastest
from .hops import FRAME_HEADER, comparison_hops, operation_hops, requests_of, verdict_hops
from .table import Table
from .timeline import Run, Step, simulate
from .types import Cost
from .work import Work, work_of

__all__ = ["EngineBackend", "Estimated"]

PROTOCOLS = ("circuit", "dcf")


@dataclass(frozen=True)
class Estimated:
    """A `Cost` with what it is made of. `comparison` is the choice, spelled as for `moiety.private.plan.plan`;
    `operations` are the seconds by operation of the program, which sum up to the cost's."""

    cost: Cost
    bytes_server: int
    bytes_client: int
    comparison: str
    operations: tuple[float, ...]


class _Prepared:
    """A program for one batch: the step of every operation, of comparing ones under either protocol."""

    def __init__(self, program: Program, batch: int, table: Table) -> None:
        self.program, self.batch, self.table = program, batch, table
        self.plans = {kind: plan(program, batch, kind) for kind in PROTOCOLS}
        circuit = self.plans["circuit"]
        self.requests = requests_of(circuit)  # requests are numbered alike under both protocols
        self.compares = comparing(program)
        self.steps = [self.step(circuit, index) for index in range(len(program.ops))]
        self.other = {index: self.step(self.plans["dcf"], index) for index in self.compares}

    def step(self, made: Plan, index: int) -> Step:
        op = self.program.ops[index]
        requests = self.requests.get(index, range(0))
        hops = operation_hops(self.program, made, op, requests)
        work = work_of(self.program, made, op, requests, hops)
        return Step(hops, *self.seconds(work))

    def seconds(self, work: Work) -> tuple[float, float]:
        """Of the server and of the client. A row's seconds a round hold the hop's own, which the link has already."""
        if not work.row:
            return 0.0, 0.0
        terms, link = self.table.row(self.program.ring, work.row), self.table.link
        if not work.by_client:
            return terms.seconds(work), terms.a
        if work.row in _LOCAL:
            return terms.seconds(work), terms.seconds(work)
        own = max(0.0, terms.seconds(work) - link.hop * work.rounds)
        return own, own

    @cached_property
    def checks(self) -> dict[int, Step]:
        made = self.plans["circuit"]
        found = {}
        for index, request in made.checks.items():
            hops = comparison_hops(made.specs[request])
            work = Work("circuit", len(hops), sum(map(sum, hops)), made.specs[request]["n"])
            found[index] = Step(hops, *self.seconds(work))
        return found

    def run(self, kinds: Iterable[str], network: Network) -> Run:
        """The program's run with a comparison protocol for each comparing operation."""
        steps = list(self.steps)
        for index, kind in zip(self.compares, kinds, strict=True):
            if kind == "dcf":
                steps[index] = self.other[index]
        verdict = verdict_hops() if self.plans["circuit"].verdict >= 0 else ()
        return simulate(self.program, steps, self.table.link, network, checks=self.checks, verdict=verdict)

    def material(self, kind: str, requests: Iterable[int]) -> int:
        """Bytes that the dealer sends to both parties for these requests, frame headers included."""
        made, total = self.plans[kind], 0
        for request in requests:
            for size in (
                made.requests[request].server_bytes(made.ring),
                made.requests[request].client_bytes(made.ring),
            ):
                total += size + FRAME_HEADER * (size > 0)
        return total

    def choice(self, network: Network, offline_budget: int) -> list[str]:
        """A comparison protocol for each comparing operation: the fastest whose correlations fit the budget."""
        if not self.compares:
            return []
        every = range(len(self.plans["circuit"].specs))
        base = self.material("circuit", every)
        extra = [
            self.material("dcf", requests) - self.material("circuit", requests)
            for requests in (self.requests.get(index, range(0)) for index in self.compares)
        ]

        def seconds(chosen: frozenset[int]) -> float:
            return self.run(("dcf" if i in chosen else "circuit" for i in range(len(extra))), network).seconds

        options = [Option(i, size) for i, size in enumerate(extra)]
        chosen = fastest(options, seconds, offline_budget * self.batch - base)
        return ["dcf" if i in chosen else "circuit" for i in range(len(extra))]


_LOCAL = ("shift", "sumpool", "spmm", "move")


class EngineBackend:
    """This engine on machines of `table` and a link of `network`.

    Rounds and bytes are exactly the engine's counters, whatever the table says. require_fit: refuse programs of a ring
    whose rows do not fit their samples (`Table.require_fit`).
    """

    def __init__(
        self,
        table: Table,
        network: Network,
        name: str,
        offline_budget: int = OFFLINE_BUDGET,
        *,
        require_fit: bool = False,
    ) -> None:
        self.table, self.network, self.offline_budget = table, network, offline_budget
        self.require_fit = require_fit
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def _prepare(self, program: Program, batch: int) -> _Prepared:
        if self.require_fit:
            self.table.require_fit(program.ring)
        return _Prepared(program, batch, self.table)

    def estimate(self, program: Program, *, batch: int = 1, comparison: str = "auto") -> Estimated:
        """The cost of one inference of `batch` samples, and what it is made of.

        "auto" chooses the comparison protocol of each layer so that the online time is least while the correlations
        fit `offline_budget` bytes a sample. Raises ValueError for a batch below 1 or a comparison that does not fit.
        """
        made = self._prepare(program, batch)
        if comparison == "auto":
            kinds = made.choice(self.network, self.offline_budget)
            comparison = spell(kinds)
        else:
            kinds = comparison_kinds(program, comparison)
        run = made.run(kinds, self.network)
        offline = made.material("circuit", range(len(made.plans["circuit"].specs)))
        for index, kind in zip(made.compares, kinds, strict=True):
            if kind == "dcf":
                requests = made.requests.get(index, range(0))
                offline += made.material("dcf", requests) - made.material("circuit", requests)
        cost = Cost(
            rounds=run.rounds,
            bytes_online=run.bytes_server + run.bytes_client,
            bytes_offline=offline,
            macs=sum(request.macs for request in made.plans["circuit"].requests),
            seconds=run.seconds,
        )
        operations = tuple(run.parts[index] for index in range(len(program.ops)))
        return Estimated(cost, run.bytes_server, run.bytes_client, comparison, operations)

    def cost(self, program: Program, *, batch: int = 1, comparison: str = "auto") -> Cost:
        """One inference of `batch` samples; see `estimate`."""
        return self.estimate(program, batch=batch, comparison=comparison).cost

    def choose(self, program: Program, *, batch: int = 1) -> str:
        """The comparison protocols that "auto" means."""
        return spell(self._prepare(program, batch).choice(self.network, self.offline_budget))

    def operator(self, kind: str, *, batch: int = 1, comparison: str = "circuit", **shape: Any) -> Cost:
        """One operator alone, without sharing its input or revealing its output: `moiety.cost.micro` knows the kinds
        and their shapes."""
        from .micro import single

        return self.cost(single(kind, **shape), batch=batch, comparison=comparison)
