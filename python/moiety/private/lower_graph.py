"""Lowering, continued: products with public sparse matrices and public factors. Both are local to each party.

A sparse product multiplies by coefficients at a scale of their own, so its result would want a truncation. There is
none here: it comes with the one that the layer before or behind needs in any case, or not at all before an opening
(docs/compiler.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moiety.private.graph import Node
from moiety.private.ranges import bits_for, sparse_interval

if TYPE_CHECKING:
    from moiety.private.lower import Lowering

__all__ = ["enlarges", "lower_factor", "lower_sparse", "sparse_scale"]

LEAST_BITS = 8  # of coefficients, where the ring leaves no room for as many as other numbers have


def enlarges(node: Node) -> bool:
    """Does the product have more elements than its input (edges, of nodes)? Then what is truncated is its input."""
    return bool(node.attrs["sparse"].rows > node.attrs["sparse"].columns)


def sparse_scale(node: Node, fraction_bits: int) -> int:
    """Fraction bits of the coefficients: none for whole numbers, as many as other numbers have at most."""
    return int(node.attrs["sparse"].fraction(fraction_bits))


def lower_sparse(low: Lowering, node: Node) -> int:
    """y = S x at the input's scale plus the coefficients'. The input is taken as it arises, or truncated first where
    the ring has no room for the result; then the coefficients give up bits."""
    (x,) = node.inputs
    matrix, precise = node.attrs["sparse"], sparse_scale(node, low.f)
    first = "full" if low.has_full(x) or enlarges(node) else "raw"
    forms = dict.fromkeys((first, "full"))
    for form, bits in [(form, bits) for bits in (precise, min(precise, LEAST_BITS)) for form in forms]:
        number = low.get(form, x)
        t, quantised = low.out.tensors[number], matrix.quantised(bits)
        interval = low.tighten(node, sparse_interval(low.interval(number), quantised))
        fraction = t.fraction + bits
        if fraction < low.ring and bits_for(interval.bound, fraction) < low.ring:
            break
    else:
        low.out.refuse(interval, fraction, low.ring - 1, node, "spmm")
    return low.out.emit("spmm", [number], node.shape, fraction, t.bits, interval, node, low.out.sparse(quantised, bits))


def lower_factor(low: Lowering, node: Node) -> int:
    """A public factor: one multiplication by an integer, a whole factor as it is, others at scale f, or by fewer bits
    where the ring has no room."""
    (x,) = node.inputs
    first = "full" if low.has_full(x) else "raw"
    precisions = (0,) if float(node.attrs["factor"]).is_integer() else (low.f, LEAST_BITS)
    tries = [(form, bits) for bits in precisions for form in dict.fromkeys((first, "full"))]
    for form, bits in tries:
        number = low.get(form, x)
        t, factor = low.out.tensors[number], round(node.attrs["factor"] * 2.0**bits)
        interval = low.tighten(node, low.interval(number).scaled(factor * 2.0**-bits))
        fraction = t.fraction + bits
        if fraction < low.ring and bits_for(interval.bound, fraction) < low.ring:
            break
    else:
        low.out.refuse(interval, fraction, low.ring - 1, node, "scale")
    attrs = {"factor": factor, "fraction": bits}
    return low.out.emit("scale", [number], node.shape, fraction, t.bits, interval, node, attrs)
