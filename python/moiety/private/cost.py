"""What a program will cost, without running it: rounds and bytes from closed formulas, seconds from a simple model.

Every protocol is a list of hops, each with the payload that either party sends; the same dataflow loop as the
executor's merges them, so rounds and bytes equal the counters. Formulas: the headers in csrc/mpc and docs/engine.md,
section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from moiety._core import mpc

from .flow import run_flow
from .plan import FLAG_BITS, Plan, plan
from .program import Op, Program
from .transport import Network

__all__ = ["Estimate", "choose", "comparison_hops", "estimate"]

FRAME_HEADER = 24
Hops = list[tuple[int, int]]  # payload bytes (server, client) of each hop

# Seconds of one core for the model, of the order that bench/RESULTS.md measures on AVX-512.
SECONDS_PER_MAC = 6e-11
SECONDS_PER_BYTE = 1e-9
SECONDS_PER_HOP = 4e-5
SECONDS_PER_DCF_LEVEL = 3e-9
LOOPBACK_MBIT = 20_000.0


@dataclass(frozen=True)
class Estimate:
    """Online rounds and bytes (frame headers included) are exact; `material_bytes` is what the dealer streams to both
    parties (headers of its frames included); `seconds` is the modelled online time on the given network."""

    rounds: int
    bytes_server: int
    bytes_client: int
    material_bytes: int
    macs: int
    seconds: float
    comparison: str

    @property
    def bytes_online(self) -> int:
        """Both directions."""
        return self.bytes_server + self.bytes_client

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "bytes_online": self.bytes_online}


def _plane(n: int) -> int:
    return 8 * ((n + 63) // 64)


def _packed(bits: int) -> int:
    return (bits + 7) // 8


def comparison_hops(spec: Mapping[str, Any]) -> Hops:
    """Of one `circuit` or `dcf` request (csrc/mpc/compare.hpp): both parties send the same in every hop."""
    n, bits = spec["n"], spec["bits"]
    operands = sum(_packed(width) for width in spec["operands"])
    if spec["kind"] == "circuit":
        inputs, *levels = mpc.circuit_planes(bits)
        sizes = [inputs * _plane(n) + n * operands, *(planes * _plane(n) for planes in levels)]
    else:
        others = operands - _packed(bits) if spec["self_operand"] else operands
        sizes = [n * (_packed(bits) + others), _plane(n)]
    return [(size, size) for size in sizes]


def _operation_hops(program: Program, made: Plan, index: int, op: Op) -> Hops:
    """The hops of one operation; none for a local one."""
    if index not in made.first and op.kind != "output":
        return []
    x = program.tensors[op.inputs[0]]
    n, word = made.batch * x.size, program.ring // 8
    first = made.first.get(index, 0)
    match op.kind:
        case "open":
            return [(0, n * word)]
        case "truncate" | "extend":
            return [(_plane(n), _plane(n))]
        case "relu" | "hardtanh":
            return comparison_hops(made.specs[first])
        case "maxpool" | "argmax":
            last = first
            while last < len(made.specs) and last not in _starts(made, first):
                last += 1
            return [hop for spec in made.specs[first:last] for hop in comparison_hops(spec)]
        case "square":
            return [(n * word, n * word)]
        case "multiply":
            return [(2 * n * word, 2 * n * word)]
        case "x2":
            return [(n * word, 2 * n * word)]
        case "output":
            return [(n * _packed(x.bits), 0)]
    return []


def _starts(made: Plan, after: int) -> set[int]:
    """Requests at which another operation's or check's begin."""
    return {start for start in (*made.first.values(), *made.checks.values(), made.verdict) if start > after}


class _Counter:
    """Drives the flow with byte counts in place of messages."""

    def __init__(self, program: Program, made: Plan) -> None:
        self.program, self.plan = program, made
        self.under_way: dict[int, Hops] = {}
        self.checks: list[Hops] = []
        self.rounds = self.server = self.client = 0

    def start(self, index: int) -> bool:
        hops = _operation_hops(self.program, self.plan, index, self.program.ops[index])
        if index in self.plan.checks:
            self.checks.append(comparison_hops(self.plan.specs[self.plan.checks[index]]))
        if not hops:
            return True
        self.under_way[index] = list(hops)
        return False

    def hop(self) -> list[int]:
        sent = [hops.pop(0) for hops in (*self.under_way.values(), *self.checks)]
        self.rounds += 1
        server, client = (sum(side) for side in zip(*sent, strict=True))
        self.server += server + FRAME_HEADER * (server > 0)
        self.client += client + FRAME_HEADER * (client > 0)
        self.checks = [hops for hops in self.checks if hops]
        finished = [index for index, hops in self.under_way.items() if not hops]
        for index in finished:
            del self.under_way[index]
        return finished

    def verdict(self) -> None:
        if self.plan.verdict < 0:
            return
        while self.checks:
            self.hop()
        self.checks = [comparison_hops({"kind": "circuit", "n": 1, "bits": FLAG_BITS, "operands": []})]
        while self.checks:
            self.hop()
        self.checks = [[(1, 0)]]
        self.hop()


def estimate(
    program: Program,
    network: str | Network | None = None,
    *,
    batch: int = 1,
    comparison: str = "auto",
) -> Estimate:
    """The cost of one inference of `batch` samples; `network` as in `run_local`.

    Rounds and bytes are exact; seconds are a model (multiplications, bytes and hops at fixed rates, plus the
    network's).
    """
    shape = Network.of(network)
    if comparison == "auto":
        comparison = choose(program, network, batch=batch)
    made = plan(program, batch, comparison)
    counter = _Counter(program, made)
    run_flow(program, counter.start, counter.hop)
    counter.verdict()
    material = 0
    for request in made.requests:
        for size in (request.server_bytes(program.ring), request.client_bytes(program.ring)):
            material += size + FRAME_HEADER * (size > 0)
    macs = sum(request.macs for request in made.requests)
    moved = counter.server + counter.client
    rate = (shape.mbit or LOOPBACK_MBIT) * 1e6 / 8
    seconds = (
        macs * SECONDS_PER_MAC
        + moved * (SECONDS_PER_BYTE + 1 / (2 * rate))
        + counter.rounds * (SECONDS_PER_HOP + shape.rtt_ms * 0.5e-3)
        + sum(spec["n"] * spec["bits"] for spec in made.specs if spec["kind"] == "dcf") * SECONDS_PER_DCF_LEVEL
    )
    return Estimate(counter.rounds, counter.server, counter.client, material, macs, seconds, comparison)


def choose(
    program: Program, network: str | Network | None = None, *, batch: int = 1, offline_budget: int = 128 << 20
) -> str:
    """The comparison protocol with the shorter modelled online time whose correlations fit `offline_budget` bytes a
    sample (the circuit where neither does)."""
    circuit, dcf = (estimate(program, network, batch=batch, comparison=kind) for kind in ("circuit", "dcf"))
    if dcf.material_bytes <= offline_budget * batch and dcf.seconds < circuit.seconds:
        return "dcf"
    return "circuit"
