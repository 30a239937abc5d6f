"""Lowering, continued: what a hypergraph's secret pairs need (private/oblivious.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private import ranges
from moiety.private.graph import Node
from moiety.private.hyperedges import Hyperedges
from moiety.private.ranges import Interval, bits_for

if TYPE_CHECKING:
    from moiety.private.lower import Lowering

__all__ = ["lower_extremes", "lower_revealed", "lower_sparse_multiply"]


# Of places behind a truncation, in its units: values that would be equal without rounding differ by a few of them.
SLACK = 16


def exact(node: Node) -> bool:
    """Is it a server-held layer on the network's input, which nothing has rounded?"""
    while node.kind in ("reshape", "permute"):
        (node,) = node.inputs
    return node.kind == "input" or (node.kind == "linear" and unrounded(node.inputs[0]))


def unrounded(node: Node) -> bool:
    while node.kind in ("reshape", "permute"):
        (node,) = node.inputs
    return node.kind == "input"


def lower_extremes(low: Lowering, node: Node) -> int:
    """Of the value as it arises: a truncation could turn equal values into different ones, and is a round."""
    number = low.get("raw", node.inputs[0])
    t, x = low.out.tensors[number], low.interval(number)
    slack = 0 if exact(node.inputs[0]) else SLACK << max(0, t.fraction - low.f)
    bits = max(bits_for(x.bound, t.fraction), bits_for(x.full_spread + slack * 2.0**-t.fraction, t.fraction))
    if bits > t.bits:
        low.out.refuse(x, t.fraction, t.bits - 1, node, "extremes")
    attrs: dict[str, Any] = {
        "bits": bits,
        "slack": slack,
        **low.out.pattern(node.attrs["indptr"], node.attrs["indices"]),
    }
    ends = Interval(np.zeros(1), np.ones(1), "proved")
    return low.out.emit("extremes", [number], node.shape, 0, low.ring, ends, node, attrs)


def lower_sparse_multiply(low: Lowering, node: Node) -> int:
    numbers = [low.get("full", x) for x in node.inputs]
    values, x = (low.interval(number) for number in numbers)
    longest = int(np.diff(node.attrs["indptr"]).max())
    if node.attrs["one_hot"]:  # one of what is there, or nothing
        lo, hi = x.lo.min(axis=-1, keepdims=True), x.hi.max(axis=-1, keepdims=True)
        interval = ranges.make(np.minimum(lo, 0), np.maximum(hi, 0), ranges.joint(x))
    else:
        own = Interval(values.lo.min(keepdims=True), values.hi.max(keepdims=True), values.how)
        over = Interval(x.lo.min(axis=-1, keepdims=True), x.hi.max(axis=-1, keepdims=True), x.how)
        interval = ranges.product_interval(Interval(own.lo.reshape(-1), own.hi.reshape(-1), own.how), over)
        interval = ranges.make(
            np.minimum(interval.lo, longest * interval.lo), np.maximum(interval.hi, longest * interval.hi), interval.how
        )
    fraction = sum(low.out.tensors[number].fraction for number in numbers)
    attrs = low.out.pattern(node.attrs["indptr"], node.attrs["indices"])
    interval = low.tighten(node, interval)
    return low.out.emit("sparse_multiply", numbers, node.shape, fraction, low.ring, interval, node, attrs)


def lower_revealed(low: Lowering, node: Node) -> int:
    """The Laplacian's entries have scale f; no row of a matrix D^-1/2 (I + A) D^-1/2 adds up to more than sqrt(d)."""
    edges: Hyperedges = node.attrs["edges"]
    numbers = [low.get("full", x) for x in node.inputs]
    x, rule = low.interval(numbers[1]), node.attrs["rule"]
    sizes = edges.sizes[edges.row]
    rows = np.sqrt(1 + 2 * np.bincount(edges.indices, edges.weight[edges.row] * sizes))
    rows = rows + 2.0**-low.f * np.bincount(edges.indices, sizes)  # half a unit an entry, at most 2 |e| of a hyperedge
    bound = np.maximum(np.abs(x.lo), np.abs(x.hi)).max(axis=-1, keepdims=True) * float(rows.max())
    interval = low.tighten(node, ranges.make(-bound, bound, ranges.joint(x)))
    attrs = {
        **low.out.pattern(edges.indptr, edges.indices),
        **low.out.hold("edge_weights", edges.weight),
        "mediators": rule.mediators,
        "code": rule.code,
        "fraction": low.f,
    }
    fraction = low.out.tensors[numbers[1]].fraction + low.f
    return low.out.emit("revealed", numbers, node.shape, fraction, low.ring, interval, node, attrs)
