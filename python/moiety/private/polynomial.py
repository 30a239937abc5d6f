"""Recognises quadratic activations however they are written: x * x, x ** 2, w1 * x * x + w2 * x + b, (x + a) ** 2, ...

Every elementwise node is expressed, where possible, as c2 * base^2 + c1 * base + c0 with a node `base` that is not
elementwise; a node of degree two becomes one `x2` (or `square`), one of degree one a single affine. Coefficients that
are exactly 0 or 1 by the structure of the code, not by the value of a parameter, are kept as the Python floats 0.0
and 1.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from moiety.private.graph import Floats, Graph, Node, per_channel

__all__ = ["fuse_polynomials"]

Coefficient = Floats | float


@dataclass
class Polynomial:
    base: Node
    c2: Coefficient
    c1: Coefficient
    c0: Coefficient

    @property
    def degree(self) -> int:
        return 2 if not is_zero(self.c2) else 1


def is_zero(c: Coefficient) -> bool:
    return isinstance(c, float) and c == 0.0


def is_one(c: Coefficient) -> bool:
    return isinstance(c, float) and c == 1.0


def plus(a: Coefficient, b: Coefficient) -> Coefficient:
    return b if is_zero(a) else a if is_zero(b) else np.asarray(a + b)


def times(a: Coefficient, b: Coefficient) -> Coefficient:
    if is_zero(a) or is_zero(b):
        return 0.0
    return b if is_one(a) else a if is_one(b) else np.asarray(a * b)


def combine(node: Node, known: dict[Node, Polynomial]) -> Polynomial | None:
    """The node as a polynomial of degree at most two in the base of its inputs, or None."""
    parts = [known[x] for x in node.inputs]
    p, q = parts[0], parts[-1]
    if node.kind == "affine":
        if "divisor" in node.attrs:
            if p.degree < 2:
                return None  # a public division stays apart: it folds into the next layer, or is one multiplication
            a: Coefficient = np.full([1] * len(node.shape), 1 / node.attrs["divisor"])
            return Polynomial(p.base, times(p.c2, a), times(p.c1, a), times(p.c0, a))
        a = 1.0 if node.attrs["a"] is None else node.attrs["a"]
        b = 0.0 if node.attrs["b"] is None else node.attrs["b"]
        return Polynomial(p.base, times(p.c2, a), times(p.c1, a), plus(times(p.c0, a), b))
    if p.base is not q.base:
        return None
    if node.kind == "add":
        return Polynomial(p.base, plus(p.c2, q.c2), plus(p.c1, q.c1), plus(p.c0, q.c0))
    if node.kind == "subtract":
        minus = np.full([1] * len(node.shape), -1.0)
        r = [times(c, minus) for c in (q.c2, q.c1, q.c0)]
        return Polynomial(p.base, plus(p.c2, r[0]), plus(p.c1, r[1]), plus(p.c0, r[2]))
    if node.kind == "multiply" and p.degree + q.degree <= 2:
        return Polynomial(p.base, times(p.c1, q.c1), plus(times(p.c1, q.c0), times(p.c0, q.c1)), times(p.c0, q.c0))
    return None


def build(node: Node, p: Polynomial) -> Node:
    """The one node that computes the polynomial."""
    ones = (1,) * len(node.shape)

    def array(c: Coefficient) -> Floats:
        # x + x has the sum of two numbers as its coefficient, an array without axes.
        return np.broadcast_to(np.asarray(c, dtype=np.float64), ones).copy() if np.ndim(c) == 0 else np.asarray(c)

    if p.degree == 2:
        if is_one(p.c2) and is_zero(p.c1) and is_zero(p.c0):
            return node.like("square", [p.base])
        c2, c1, c0 = array(p.c2), array(p.c1), array(p.c0)
        if all(per_channel(c) for c in (c2, c1, c0)):
            return node.like("x2", [p.base], c2=c2, c1=c1, c0=c0)
        # Coefficients that differ within a channel: every element becomes a channel.
        size = (math.prod(node.shape),)
        flat = Node("reshape", [p.base], size, {}, node.source, node.where)
        c2, c1, c0 = (np.broadcast_to(c, node.shape).reshape(size) for c in (c2, c1, c0))
        active = Node("x2", [flat], size, {"c2": c2, "c1": c1, "c0": c0}, node.source, node.where)
        return node.like("reshape", [active])
    a = None if is_one(p.c1) else array(p.c1)
    return node.like("affine", [p.base], a=a, b=None if is_zero(p.c0) else array(p.c0))


def fuse_polynomials(graph: Graph) -> None:
    """Replaces every elementwise node that is a polynomial of degree one or two in one base."""
    known: dict[Node, Polynomial] = {}
    for node in graph.nodes():
        found = combine(node, known) if node.kind in ("affine", "add", "subtract", "multiply") else None
        known[node] = found if found is not None else Polynomial(node, 0.0, 1.0, 0.0)
    for node, p in known.items():
        if p.base is node:
            continue
        if is_one(p.c1) and is_zero(p.c2) and is_zero(p.c0):
            p.base.paths += node.paths
            graph.replace(node, p.base)
        else:
            graph.replace(node, build(node, p))
