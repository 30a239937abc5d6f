"""What private inference computes on hyperedges, in plain numbers: extremes, products with values on a pattern, and the
Laplacian of chosen pairs. NumPy alone, for floats and for the ring's integers, so that parties need no torch.

A hypergraph is the public pattern of its hyperedges (rows) over its nodes (columns). Which nodes a signal picks is not
public: it is a vector of bits z (2, entries), 1 at the maximum (first row) and at the minimum (second) of every
hyperedge, all 0 where its values are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.private.sparse import Sparse

__all__ = ["Hyperedges", "Rule", "extremes", "laplacian", "products"]

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def extremes(values: Array, indptr: Array, indices: Array, slack: int = 0) -> npt.NDArray[np.bool_]:
    """z (samples, 2 entries) for values (samples, nodes): the first maximum and the first minimum of every hyperedge;
    with slack, what the tournament of csrc/mpc/extremes.hpp finds, in which values so close to each other count as
    equal."""
    at, row = values[..., indices], np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    winners = [tournament(side, indptr, slack) for side in (at, -at)]
    largest, least = (np.take_along_axis(at, winner, axis=-1) for winner in winners)
    differ = (least - largest + slack < 0)[..., row]
    sides = [(np.arange(row.size) == winner[..., row]) & differ for winner in winners]
    return np.concatenate(sides, axis=-1)


def tournament(at: Array, indptr: Array, slack: int) -> Integers:
    """The entry that wins every row of at (samples, entries): pairs from left to right, level by level."""
    alive = np.broadcast_to(np.arange(at.shape[-1]), at.shape)
    while np.diff(indptr).max() > 1:
        sizes = np.diff(indptr)
        place = np.arange(indptr[-1]) - np.repeat(indptr[:-1], sizes)
        left = np.flatnonzero(place % 2 == 0)
        right = left + (place[left] + 1 < np.repeat(sizes, sizes)[left])  # itself, where there is none
        one, other = alive[..., left], alive[..., right]
        gain = np.take_along_axis(at, one, axis=-1) - np.take_along_axis(at, other, axis=-1)
        alive = np.where(gain + slack >= 0, one, other)
        indptr = np.concatenate([[0], np.cumsum((sizes + 1) // 2)])
    return np.asarray(alive, np.int64)


def products(values: Array, x: Array, indptr: Array, indices: Array) -> Array:
    """y_r = sum of values[entry] * x[column] over the entries of every row: values (N, entries), x (N, ..., columns),
    integers wrap; (N, ..., rows)."""
    terms = x[..., indices] * values.reshape(values.shape[0], *[1] * (x.ndim - 2), -1)
    ends = np.cumsum(terms, axis=-1, dtype=x.dtype)
    ends = np.concatenate([np.zeros((*x.shape[:-1], 1), x.dtype), ends], axis=-1)
    return np.asarray(ends[..., indptr[1:]] - ends[..., indptr[:-1]])


@dataclass(frozen=True)
class Rule:
    """How pairs become edges (csrc/hypergraph/hypergraph.hpp): with mediators or without, weighted as in the reference
    code or as in the paper. They differ without mediators, and where s = i, which in the paper adds nothing."""

    mediators: bool
    code: bool


@dataclass(frozen=True, eq=False)
class Hyperedges:
    """Hyperedges of two nodes and more (those of one add nothing to any Laplacian) and the weight w of the edges that
    the rule makes of each."""

    indptr: Integers
    indices: Integers
    nodes: int
    weight: Floats

    @staticmethod
    def of(indptr: Array, indices: Array, nodes: int, weight: Array | None, rule: Rule) -> Hyperedges:
        """Of a hypergraph's pattern; weight: of the hyperedges, None for ones."""
        sizes = np.diff(indptr)
        keep = sizes > 1
        own = np.ones(sizes.size) if weight is None else np.asarray(weight, np.float64)
        held = sizes[keep]
        made = own[keep] / (2 * held - 3) if rule.mediators else own[keep] / held if rule.code else own[keep]
        entries = np.asarray(indices, np.int64)[np.repeat(keep, sizes)]
        return Hyperedges(np.concatenate([[0], np.cumsum(held)]).astype(np.int64), entries, nodes, made)

    @property
    def count(self) -> int:
        return self.indptr.size - 1

    @property
    def entries(self) -> int:
        return self.indices.size

    @cached_property
    def sizes(self) -> Integers:
        return np.diff(self.indptr)

    @cached_property
    def row(self) -> Integers:
        """The hyperedge of every entry."""
        return np.repeat(np.arange(self.count), self.sizes)

    def pairs(self, z: Array) -> tuple[Integers, Integers]:
        """s and i of every hyperedge by z (2 entries,); the first node for both where nothing differs."""
        found = []
        for side in np.asarray(z).reshape(2, -1):
            place = self.indptr[:-1].copy()
            chosen = np.flatnonzero(side)
            place[self.row[chosen]] = chosen
            found.append(self.indices[place])
        return found[0], found[1]


def laplacian(edges: Hyperedges, rule: Rule, s: Array, i: Array) -> Sparse:
    """L = D^-1/2 (I + A) D^-1/2 of the pairs (s, i), one a hyperedge; entries of one place stay apart."""
    s, i = np.asarray(s, np.int64), np.asarray(i, np.int64)
    used = np.ones(edges.count, bool) if rule.code else s != i
    ends = [(s[used], i[used], edges.weight[used])]
    if rule.mediators:
        others = used[edges.row] & (edges.indices != s[edges.row]) & (edges.indices != i[edges.row])
        row, node = edges.row[others], edges.indices[others]
        ends += [(s[row], node, edges.weight[row]), (i[row], node, edges.weight[row])]
    a, b, w = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    nodes = np.arange(edges.nodes)
    row, column = np.concatenate([a, b, nodes]), np.concatenate([b, a, nodes])
    value = np.concatenate([w, w, np.ones(edges.nodes)])
    scale = 1 / np.sqrt(np.bincount(row, value, edges.nodes))
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=edges.nodes))])
    return Sparse(indptr, column[order], (value * scale[row] * scale[column])[order], edges.nodes)
