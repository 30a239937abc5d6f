"""The messages of every protocol, by closed formulas: csrc/mpc's headers and docs/engine.md, section 3.

A protocol is a list of hops, each with the payload that either party sends in it. The executor merges the hops of all
operations under way into one frame each way, and so does `moiety.cost.timeline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from moiety._core import mpc
from moiety.private.plan import FLAG_BITS, Plan
from moiety.private.program import Op, Program

__all__ = ["FRAME_HEADER", "Hops", "comparison_hops", "operation_hops", "requests_of", "verdict_hops"]

FRAME_HEADER = 24
Hops = list[tuple[int, int]]  # payload bytes (server, client) of each hop


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


def verdict_hops() -> list[Hops]:
    """Of the last comparison of a program that checks its ranges, and of the bit that the client learns."""
    return [comparison_hops({"kind": "circuit", "n": 1, "bits": FLAG_BITS, "operands": []}), [(1, 0)]]


def requests_of(made: Plan) -> dict[int, range]:
    """The plan's requests that each operation uses (its range check's apart)."""
    starts = sorted((*made.first.values(), *made.checks.values(), *([made.verdict] if made.verdict >= 0 else [])))
    ends = dict(pairwise([*starts, len(made.specs)]))
    return {index: range(first, ends[first]) for index, first in made.first.items()}


def operation_hops(program: Program, made: Plan, op: Op, requests: range) -> Hops:
    """The hops of one operation; none for a local one."""
    if not requests and op.kind not in ("output", "revealed"):
        return []
    x = program.tensors[op.inputs[0]]
    n, word = made.batch * x.size, program.ring // 8
    match op.kind:
        case "open":
            return [(0, n * word)]
        case "truncate" | "extend":
            return [(_plane(n), _plane(n))]
        case "relu" | "hardtanh" | "piecewise" | "maxpool" | "argmax":
            return [hop for request in requests for hop in comparison_hops(made.specs[request])]
        case "extremes":
            specs = [made.specs[request] for request in requests]
            compared = [hop for spec in specs if spec["kind"] != "cross" for hop in comparison_hops(spec)]
            crosses = [spec["n"] * word for spec in specs if spec["kind"] == "cross"]
            return compared + [(2 * size, 2 * size) for size in crosses[::2]]
        case "sparse_multiply":
            opened = word * made.batch * (x.size + program.tensors[op.inputs[1]].size)
            return [(opened, opened)]
        case "revealed":
            return [(_plane(n), _plane(n))]
        case "square":
            return [(n * word, n * word)]
        case "multiply":
            return [(2 * n * word, 2 * n * word)]
        case "x2":
            return [(n * word, 2 * n * word)]
        case "output":
            return [(n * _packed(x.bits), 0)]
    return []
