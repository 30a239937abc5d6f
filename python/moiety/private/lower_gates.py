"""Lowering, continued: sigmoid and tanh, each by the design that the cost model finds fastest on the network.

Every design that keeps the demanded error on the certified range is costed as a program of its own, for as many
elements as the node has and with its part of the budget for correlations, and the one with the fewest seconds is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private import ranges
from moiety.private.gates import FUNCTIONS, LEAST_ERROR, LEAST_FRACTION, Piecewise, Polynomial, designs
from moiety.private.graph import Node
from moiety.private.ranges import Interval, RangeError
from moiety.private.transport import Network

if TYPE_CHECKING:
    from moiety.private.lower import Lowering

__all__ = ["GATE_ERROR", "Gates", "lower_gate"]

GATE_ERROR = 2.0**-7


@dataclass(frozen=True)
class Gates:
    """What sigmoid and tanh have to keep, and the link for which they are chosen."""

    error: float = GATE_ERROR
    network: Network = field(default_factory=Network)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.error) and LEAST_ERROR <= self.error <= 0.25):
            raise ValueError(f"gate_error is {self.error}: expected {LEAST_ERROR:g} to 0.25")


@lru_cache(maxsize=4096)
def seconds(network: Network, ring: int, n: int, budget: int, kind: str, *shape: tuple[str, int]) -> float:
    """Of one design, by the cost model."""
    from moiety.cost.backends import analytic
    from moiety.cost.micro import single

    program = single(kind, ring=ring, n=n, **dict(shape))
    return analytic(network, offline_budget=budget).cost(program).seconds


def cost(low: Lowering, made: Piecewise | Polynomial, n: int) -> float:
    from moiety.cost.choose import OFFLINE_BUDGET

    every = sum(math.prod(node.shape) for node in low.users if node.kind in FUNCTIONS)
    budget = OFFLINE_BUDGET * n // every
    shape: dict[str, int]
    if isinstance(made, Piecewise):
        kind, shape = "piecewise", {"bits": made.bits, "pieces": len(made.slopes)}
    else:
        kind, shape = "polynomial", {"degree": made.degree}
    return seconds(low.gates.network, low.ring, n, budget, kind, *shape.items())


def choose(low: Lowering, node: Node, bound: float, fraction: int) -> Piecewise | Polynomial:
    found = designs(node.kind, bound, low.gates.error, fraction, low.ring)
    found = [made for made in found if not isinstance(made, Piecewise) or made.bits < low.ring]
    if not found:
        raise RangeError(
            f"no {node.kind} for {node.source or 'the network'}{f' at {node.where}' if node.where else ''} keeps an "
            f"error of {low.gates.error:g} on inputs up to {bound:.6g} with {fraction} fraction bits in a ring of "
            f"{low.ring}: pass calibration data, a larger gate_error, more fraction bits or a larger ring"
        )
    n = math.prod(node.shape)
    return min(found, key=lambda made: (cost(low, made, n), made.error))


def lower_gate(low: Lowering, node: Node) -> int:
    (x,) = node.inputs
    number = low.get("raw", x)
    t, bound = low.out.tensors[number], low.interval(number).bound
    limit = low.measured_limit(x)
    if low.check_range and limit is not None:  # what the check at the truncation will hold it to
        bound = min(bound, 2 * (limit + 2.0**-LEAST_FRACTION))
    made = choose(low, node, bound, min(low.f, t.fraction))
    low.note_gate(node, made)
    return (piecewise if isinstance(made, Piecewise) else polynomial)(low, node, number, made)


def between(low: float, high: float, rank: int) -> Interval:
    return Interval(np.full([1] * rank, low), np.full([1] * rank, high), "proved")


def piecewise(low: Lowering, node: Node, number: int, made: Any) -> int:
    """Truncate locally to the design's scale, compare, extend."""
    out, rank = low.out, len(node.shape)
    if out.tensors[number].fraction > made.fraction:
        number = low.truncate(node.inputs[0], number, exact=False, fraction=made.fraction)
    attrs = {
        "bits": made.bits,
        "thresholds": list(made.thresholds),
        "slopes": list(made.slopes),
        "offset": made.offset,
        "fraction": made.slope_fraction,
    }
    interval = between(made.low, made.high, rank)
    y = out.emit("piecewise", [number], node.shape, made.scale, made.bits, interval, node, attrs)
    if node is low.graph.output and not low.users[node]:
        return y
    attrs = {"bits": made.bits, "signed": FUNCTIONS[made.function].signed}
    return out.emit("extend", [y], node.shape, made.scale, low.ring, interval, node, attrs)


def polynomial(low: Lowering, node: Node, number: int, made: Any) -> int:
    """Truncate to the design's scale; square, multiply by public coefficients, multiply by the input."""
    out, x, rank, ring = low.out, node.inputs[0], len(node.shape), low.ring
    b, j, c = made.bits, made.shift, made.coefficients
    if out.tensors[number].fraction > made.fraction:
        number = low.truncate(x, number, exact=True, fraction=made.fraction)
    ones = np.ones([1] * rank)

    def square(of: int) -> int:
        t = out.tensors[of]
        interval = ranges.quadratic_interval(low.interval(of), ones, 0 * ones, 0 * ones)
        return out.emit("square", [of], node.shape, 2 * t.fraction, ring, interval, node)

    def times(of: int, factor: int, fraction: int) -> int:
        t, interval = out.tensors[of], low.interval(of).scaled(factor * 2.0**-fraction)
        attrs = {"factor": factor, "fraction": fraction}
        return out.emit("scale", [of], node.shape, t.fraction + fraction, ring, interval, node, attrs)

    def plus(of: int, value: float, interval: Interval | None = None) -> int:
        t, name = out.tensors[of], f"{len(out.tensors)}.value"
        out.array(name, np.full(node.shape[:1], value), t.fraction, node)
        moved = Interval(low.interval(of).lo + value, low.interval(of).hi + value, "proved")
        return out.emit("add_constant", [of], node.shape, t.fraction, ring, interval or moved, node, {"value": name})

    u = square(number)
    if made.degree == 3:
        inner = times(u, c[1], b + 3 * j)
    else:
        t = out.tensors[u]
        u = out.emit(
            "truncate",
            [u],
            node.shape,
            t.fraction - b,
            ring,
            low.interval(u).widen(2.0 ** (b - t.fraction)),
            node,
            {"shift": b},
        )
        first, second = times(square(u), c[2], b + 5 * j), times(u, c[1] << b, 2 * b + 3 * j)
        total = ranges.local_interval("add", {}, [low.interval(first), low.interval(second)], [node.shape, node.shape])
        inner = out.emit("add", [first, second], node.shape, 3 * b + j, ring, total, node)
    inner = plus(inner, c[0] * 2.0 ** -(b + j))
    centre = FUNCTIONS[made.function].centre
    product = between(made.low - centre, made.high - centre, rank)
    y = out.emit("multiply", [inner, number], node.shape, 4 * b, ring, product, node)
    return plus(y, centre, between(made.low, made.high, rank)) if centre else y
