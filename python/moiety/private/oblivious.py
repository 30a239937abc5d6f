"""L x for the Laplacian of pairs that nobody may learn: arithmetic on shared bits that say which nodes were picked.

With the bits sigma, iota of a hyperedge's maximum and minimum (one of each is 1, or none is where nothing differs), its
weight w, d_v the row sums of I + A, and z = D^-1/2 x:

    1. d_v = 1 + sum_e w (2 t_e + (|e| - 3)(sigma_ev + iota_ev)),  t_e = sum of sigma over e, with mediators;
       d_v = 1 + sum_e w (sigma_ev + iota_ev) without. Public coefficients: no byte. d_v has a public interval.
    2. r = d^-1/2 by a polynomial and Newton's steps (private/rsqrt.py): products of vectors (nodes,).
    3. z = r x, one sparse product on the diagonal pattern.
    4. z_s = sum_v sigma_ev z_v and z_i = sum_v iota_ev z_v of every hyperedge: one sparse product.
    5. With T_e the sum of z over e, U = T - 2 z_s - z_i and V = T - z_s - 2 z_i:
       y_v = z_v + sum_e w (z_s + z_i) + sum_e (w sigma_ev U_e + w iota_ev V_e): one sparse product, the rest is local.
       (The maximum then sees w (T - z_s), the minimum w (T - z_i), a mediator w (z_s + z_i).) Without mediators
       y_v = z_v + sum_e w (sigma_ev z_i + iota_ev z_s).
    6. L x = r y, on the diagonal again.

The reference code's rule gives a hyperedge in which nothing differs the pair (f, f) of its first node: with q = 1 - t,
sigma and iota get q at f, and the loop that f then has is d_f += 4 w q and y_f += 4 w q z_f.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moiety.private.graph import Floats, Node
from moiety.private.hyperedges import Hyperedges, Rule
from moiety.private.operators import Refused
from moiety.private.rsqrt import choose_start
from moiety.private.sparse import Sparse

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["oblivious"]

# Of a shared number whose real interval is known: room for the rounding of everything before it.
MARGIN = 2.0**-5
ERROR = 2.0**-17  # of 1 / sqrt(d), relatively

Integers = npt.NDArray[np.int64]


@dataclass
class Entries:
    """A matrix entry by entry."""

    rows: list[Integers]
    columns: list[Integers]
    values: list[Floats]

    def add(self, rows: Any, columns: Any, values: Any) -> None:
        for held, new in ((self.rows, rows), (self.columns, columns)):
            held.append(np.asarray(new, np.int64))
        self.values.append(np.broadcast_to(np.asarray(values, np.float64), np.shape(rows)))

    def sparse(self, rows: int, columns: int) -> Sparse:
        row, value = np.concatenate(self.rows), np.concatenate(self.values)
        order = np.argsort(row, kind="stable")
        return Sparse(pointers(row, rows), np.concatenate(self.columns)[order], value[order], columns)


def pointers(row: Integers, rows: int) -> Integers:
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int64)


def entries() -> Entries:
    return Entries([], [], [])


def apply(b: Builder, x: Node, matrix: Sparse, **attrs: Any) -> Node:
    return b.node("spmm", [x], (*x.shape[:-1], matrix.rows), sparse=matrix, **attrs)


def shift(b: Builder, x: Node, by: Floats, **attrs: Any) -> Node:
    return b.node("affine", [x], x.shape, a=None, b=by, **attrs)


def joined(b: Builder, *parts: Node) -> Node:
    """Side by side along the last axis."""
    shape = (*parts[0].shape[:-1], sum(x.shape[-1] for x in parts))
    return b.node("concat", list(parts), shape, axis=len(shape) - 1)


def weighed(b: Builder, values: Node, x: Node, pattern: Sparse, one_hot: bool = False) -> Node:
    """A sparse product of shared values; one_hot: at most one value of a row is not 0, and it is 1."""
    attrs = {"indptr": pattern.indptr, "indices": pattern.indices, "one_hot": one_hot}
    return b.node("sparse_multiply", [values, x], (*x.shape[:-1], pattern.rows), **attrs)


def diagonal(size: int) -> Sparse:
    return Sparse(np.arange(size + 1), np.arange(size), None, size)


def oblivious(b: Builder, edges: Hyperedges, rule: Rule, z: Node, x: Node) -> Node:
    """L x (..., nodes) for the bits z (2 entries,)."""
    bits, other = chosen(b, edges, rule, z)
    key = z, rule, edges.weight.tobytes()
    if key not in b.chosen:
        b.chosen[key] = inverse_root(b, degrees(edges, rule), bits, other)
    root, own = b.chosen[key], diagonal(edges.nodes)
    scaled = weighed(b, root, x, own)
    picked = weighed(b, bits, scaled, gathering(edges), one_hot=True)
    combine = mediated if rule.mediators else direct
    return weighed(b, root, combine(b, edges, rule, bits, other, scaled, picked), own)


def chosen(b: Builder, edges: Hyperedges, rule: Rule, z: Node) -> tuple[Node, Node]:
    """sigma and iota as the rule has them (2 entries,), and t, in the reference code q (hyperedges,)."""
    count, size = edges.count, edges.entries
    sums = Sparse(edges.indptr, np.arange(size), None, 2 * size)
    if not rule.code:
        return z, apply(b, z, sums, within=(0.0, 1.0))
    left = shift(b, apply(b, z, sums.scaled(-1.0), within=(-1.0, 0.0)), np.ones(count), within=(0.0, 1.0))
    first = entries()
    for side in (0, size):
        first.add(side + edges.indptr[:-1], np.arange(count), 1.0)
    own = b.node("add", [z, apply(b, left, first.sparse(2 * size, count))], z.shape, within=(0.0, 1.0))
    return own, left


@dataclass(frozen=True)
class Degrees:
    """d = constant + of_bits sigma-iota + of_other t (or q), as matrices of (nodes, ..), and the interval of d."""

    constant: Floats
    of_bits: Sparse
    of_other: Sparse | None
    least: Floats
    most: Floats


def degrees(edges: Hyperedges, rule: Rule) -> Degrees:
    n, size, row, node = edges.nodes, edges.entries, edges.row, edges.indices
    w, sizes = edges.weight[row], edges.sizes[row]
    gain = w * (sizes - 3) if rule.mediators else w
    bits, other = entries(), entries()
    for side in (0, size):
        bits.add(node, side + np.arange(size), gain)
    constant, first = np.ones(n), edges.indices[edges.indptr[:-1]]
    if rule.mediators and rule.code:
        constant = constant + np.bincount(node, 2 * w, n)
        other.add(first, np.arange(edges.count), 4 * edges.weight)
    elif rule.mediators:
        other.add(node, row, 2 * w)
    largest = w * np.maximum(sizes - 1, 2) if rule.mediators else w
    least = np.zeros(size)  # in the paper a hyperedge may add nothing
    if rule.code:  # one in which nothing differs gives its first node a loop
        least = w * np.minimum(sizes - 1, 2) if rule.mediators else least
        begins = np.isin(np.arange(size), edges.indptr[:-1])
        largest = np.where(begins, np.maximum(largest, w * (2 * sizes if rule.mediators else 2)), largest)
    held = other.sparse(n, edges.count) if other.rows else None
    lo, hi = (np.asarray(1 + np.bincount(node, end, n), np.float64) for end in (least, largest))
    return Degrees(constant, bits.sparse(n, 2 * size), held, lo, hi)


def inverse_root(b: Builder, d: Degrees, bits: Node, other: Node) -> Node:
    """r = d^-1/2 (nodes,), steps 1 and 2."""
    n = d.constant.size
    lo, hi = d.least, d.most
    try:
        start = choose_start(lo, hi, ERROR)
    except ValueError as error:
        raise Refused(f"the degrees of its Laplacian: {error}") from None

    def scaled(factor: Floats, offset: Floats, within: tuple[float, float]) -> Node:
        """factor d + offset, both of every node."""
        total = apply(b, bits, rows_scaled(d.of_bits, factor))
        if d.of_other is not None:
            total = b.node("add", [total, apply(b, other, rows_scaled(d.of_other, factor))], (n,))
        return shift(b, total, factor * d.constant + offset, within=widened(*within))

    # t; an interval of one point has all its polynomial in the constant.
    span = np.where(hi > lo, hi - lo, 1.0)
    t = scaled(np.where(hi > lo, 2 / span, 0.0), np.where(hi > lo, -(lo + hi) / span, 0.0), (-1.0, 1.0))
    square = b.node("square", [t], (n,), within=widened(0.0, 1.0))
    powers = joined(b, t, square, b.node("multiply", [square, t], (n,), within=widened(-1.0, 1.0)))
    y = polynomial(b, powers, start.coefficients[:4])
    if len(start.coefficients) > 4:
        fourth = b.node("square", [square], (n,), within=widened(0.0, 1.0))
        upper = b.node("multiply", [fourth, polynomial(b, powers, start.coefficients[4:])], (n,))
        y = b.node("add", [upper, y], (n,))
    y.attrs["within"] = widened(*start.first)
    ends = start.first
    for low, high in start.halves:
        down = scaled(-0.5 + 0 * lo, 0 * lo, (-float(hi.max()) / 2, -0.5))
        squared = b.node("square", [y], (n,), within=widened(0.0, max(abs(e) for e in ends) ** 2))
        product = b.node("multiply", [down, squared], (n,), within=widened(-high, -low))
        more = shift(b, product, np.full(1, 1.5), within=widened(1.5 - high, 1.5 - low))
        ends = float(hi.max()) ** -0.5 / 2, 1.0
        y = b.node("multiply", [y, more], (n,), within=widened(*ends))
    return y


def widened(low: float, high: float) -> tuple[float, float]:
    return low - MARGIN, high + MARGIN


def rows_scaled(matrix: Sparse, factor: Floats) -> Sparse:
    return Sparse(matrix.indptr, matrix.indices, matrix.floats * factor[matrix.row], matrix.columns)


def polynomial(b: Builder, powers: Node, coefficients: Floats) -> Node:
    """c0 + c1 t + c2 t^2 + c3 t^3 with coefficients (4, nodes), of t, t^2 and t^3 side by side."""
    n = coefficients.shape[1]
    matrix = entries()
    for power in range(3):
        matrix.add(np.arange(n), power * n + np.arange(n), coefficients[1 + power])
    return shift(b, apply(b, powers, matrix.sparse(n, 3 * n)), coefficients[0])


def gathering(edges: Hyperedges) -> Sparse:
    """The pattern of step 4: rows are the maxima of the hyperedges, then their minima."""
    ends = np.concatenate([edges.indptr, edges.entries + edges.indptr[1:]])
    return Sparse(ends, np.tile(edges.indices, 2), None, edges.nodes)


def scattered(
    b: Builder, edges: Hyperedges, bits: Node, x: Node, columns: tuple[int, int], more: tuple[Node, int] | None = None
) -> Node:
    """sum_e w (sigma_ev x_a + iota_ev x_c) with a, c the hyperedge's places in x, which begin at `columns`; `more`: of
    every hyperedge one more value and place for its first node."""
    size, count = edges.entries, edges.count
    node = [edges.indices, edges.indices]
    place = [columns[0] + edges.row, columns[1] + edges.row]
    source = [np.arange(size), size + np.arange(size)]
    weight = [edges.weight[edges.row]] * 2
    values = bits
    if more is not None:
        values = joined(b, bits, more[0])
        node.append(edges.indices[edges.indptr[:-1]])
        place.append(more[1] + np.arange(count))
        source.append(2 * size + np.arange(count))
        weight.append(edges.weight)
    rows = np.concatenate(node)
    order = np.argsort(rows, kind="stable")
    picks, weights = np.concatenate(source)[order], np.concatenate(weight)[order]
    into = Sparse(np.arange(rows.size + 1), picks, weights, values.shape[-1])
    pattern = Sparse(pointers(rows, edges.nodes), np.concatenate(place)[order], None, x.shape[-1])
    return weighed(b, apply(b, values, into), x, pattern)


def mediated(b: Builder, edges: Hyperedges, rule: Rule, bits: Node, other: Node, scaled: Node, picked: Node) -> Node:
    """Step 5 with mediators; `picked` (.., 2 hyperedges): z_s, then z_i."""
    count, n = edges.count, edges.nodes
    both = joined(b, picked, scaled)
    every, sides = np.arange(count), entries()
    for side, (largest, least) in enumerate(((-2.0, -1.0), (-1.0, -2.0))):
        at = side * count
        sides.add(at + edges.row, 2 * count + edges.indices, 1.0)
        sides.add(at + every, every, largest)
        sides.add(at + every, count + every, least)
    first = edges.indices[edges.indptr[:-1]]
    if rule.code:
        sides.add(2 * count + every, 2 * count + first, 4.0)
    columns = count * (3 if rule.code else 2)
    ends = apply(b, both, sides.sparse(columns, 2 * count + n))
    more = (other, 2 * count) if rule.code else None
    spread = scattered(b, edges, bits, ends, (0, count), more)
    base = entries()
    base.add(np.arange(n), 2 * count + np.arange(n), 1.0)
    for side in (0, count):
        base.add(edges.indices, side + edges.row, edges.weight[edges.row])
    return b.node("add", [apply(b, both, base.sparse(n, 2 * count + n)), spread], scaled.shape)


def direct(b: Builder, edges: Hyperedges, rule: Rule, bits: Node, other: Node, scaled: Node, picked: Node) -> Node:
    """Step 5 without mediators."""
    return b.node("add", [scaled, scattered(b, edges, bits, picked, (edges.count, 0))], scaled.shape)
