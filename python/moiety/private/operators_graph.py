"""Operators on a graph, continued from operators.py: products with its matrix, and values along its edges.

The graph is public, so everything that only moves, adds up or scales by public numbers is local to each party. Values
of edges that depend on the input are private: each costs a product for every feature that it weighs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Floats, Node
from moiety.private.operators import HINTS, Refused, handles, is_data, need_data, permute, reshape
from moiety.private.operators_shape import align, multiply
from moiety.private.program import Array
from moiety.private.sparse import Sparse

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__ = ["sparse"]

SOFTMAX = (
    "the softmax over a node's edges divides by a private sum: take an attention without it, GATConv(attention='relu') "
    "or 'square', which divide by the number of edges"
)
LARGEST = "it keeps the largest or least of a node's neighbours, a comparison an edge and feature: take 'sum' or 'mean'"

HINTS |= {"moiety.edge_softmax": SOFTMAX, "moiety.gat": SOFTMAX}


def whole(b: Builder) -> None:
    if not b.whole:
        raise Refused("it works on a graph: pass the graph (private.compile(..., graph=...))")


def public(b: Builder, argument: int, value: Any, what: str) -> Array:
    """A constant argument, which the client will see: nothing that a parameter enters."""
    if isinstance(value, Node):
        raise Refused(f"its {what} depends on the network's input: expected a public graph")
    if b.current.args[argument] in b.trained:
        raise Refused(
            f"its {what} is computed from parameters, and the graph is public: the client would see it; make it a "
            "buffer if it may"
        )
    return np.asarray(value.detach().cpu().double().numpy() if value.is_floating_point() else value.cpu().numpy())


def sparse(indptr: Array, indices: Array, values: Floats | None, columns: int) -> Sparse:
    try:
        return Sparse(indptr.astype(np.int64), indices.astype(np.int64), values, columns)
    except ValueError as error:
        raise Refused(f"its graph is none: {error}") from None


def product(b: Builder, x: Node, matrix: Sparse) -> Node:
    return b.node("spmm", [x], (*x.shape[:-1], matrix.rows), sparse=matrix)


def ends(matrix: Sparse) -> tuple[Sparse, Sparse]:
    """What gathers the source and the target of every edge: x (..., nodes) -> (..., edges)."""
    edges = np.arange(matrix.entries + 1)
    return (
        Sparse(edges, matrix.indices, None, matrix.columns),
        Sparse(edges, matrix.row, None, matrix.rows),
    )


def segments(matrix: Sparse, values: Floats | None) -> Sparse:
    """What adds up the edges of every target: x (..., edges) -> (..., targets)."""
    return Sparse(matrix.indptr, np.arange(matrix.entries), values, matrix.entries)


def averaging(matrix: Sparse) -> Floats:
    """One over the number of its row's entries, for every entry."""
    return np.asarray(1.0 / np.diff(matrix.indptr)[matrix.row], np.float64)


def aggregate(b: Builder, matrix: Sparse, x: Node, weight: Node | None, mean: bool) -> Node:
    """Sum or mean over every target's edges; `weight`: private values (..., edges) in front of the matrix's own."""
    values = matrix.values
    if mean:
        values = averaging(matrix) if values is None else values * averaging(matrix)
    if weight is None:
        return product(b, x, Sparse(matrix.indptr, matrix.indices, values, matrix.columns))
    gathered = product(b, x, ends(matrix)[0])
    weighed = multiply(b, *align(b, *of_one_rank(b, weight, gathered)))
    return product(b, weighed, segments(matrix, values))


def of_one_rank(b: Builder, weight: Node, x: Node) -> tuple[Node, Node]:
    """Weights (heads, edges), or (edges,), for features (heads, features, edges)."""
    lead, trail = weight.shape[:-1], weight.shape[-1:]
    return reshape(b, weight, (*lead, *[1] * (len(x.shape) - len(weight.shape)), *trail)), x


@handles("moiety.spmm")
def _(b: Builder, indptr: Any, indices: Any, x: Any, weight: Any, mean: bool, *_: Any) -> Node:
    """moiety.ops.spmm, as it reaches an exporter."""
    whole(b)
    x = need_data(x)
    private = isinstance(weight, Node)
    values = None if weight is None or private else public(b, 3, weight, "graph's weights")
    matrix = sparse(public(b, 0, indptr, "graph"), public(b, 1, indices, "graph"), values, x.shape[-1])
    return aggregate(b, matrix, x, weight if private else None, mean)


@handles("moiety.sddmm")
def _(b: Builder, indptr: Any, indices: Any, x: Any, y: Any, heads: int) -> Node:
    """moiety.ops.sddmm: a product of features for every edge and feature, summed up by head, (heads, edges)."""
    whole(b)
    x, y = need_data(x), need_data(y)
    matrix = sparse(public(b, 0, indptr, "graph"), public(b, 1, indices, "graph"), None, y.shape[-1])
    source, target = ends(matrix)
    terms = multiply(b, product(b, x, target), product(b, y, source))
    features = math.prod(terms.shape[:-1]) // heads
    rows = reshape(
        b,
        permute(b, reshape(b, terms, (heads, features, matrix.entries)), [0, 2, 1]),
        (heads * matrix.entries, features),
    )
    attrs: dict[str, Any] = {"kernel": [1, 1, features], "stride": [1, 1, features], "padding": [0, 0, 0]}
    total = b.node("sumpool", [rows], (rows.shape[0], 1), count=features, **attrs)
    return reshape(b, total, (heads, matrix.entries))


@handles("moiety.spmm_extreme")
def _(b: Builder, *_: Any) -> Node:
    raise Refused(LARGEST)


@handles("index_select")
def _(b: Builder, x: Any, axis: int, index: Any) -> Node:
    whole(b)
    x = need_data(x)
    if b.axis(x, axis) != len(x.shape) - 1:
        raise Refused("expected a choice of nodes or edges, along axis 0")
    return gather(b, x, public(b, 2, index, "index"))


@handles("index")
def _(b: Builder, x: Any, indices: Any) -> Node:
    whole(b)
    x = need_data(x)
    if len(indices) != 1 or is_data(indices[0]) or indices[0].dim() != 1 or indices[0].dtype.is_floating_point:
        raise Refused("expected one vector of positions along axis 0 that does not depend on the network's input")
    if b.current.args[1][0] in b.trained:
        raise Refused("its index is computed from parameters, and the graph is public")
    return gather(b, x, indices[0].cpu().numpy())


def gather(b: Builder, x: Node, index: Array) -> Node:
    nodes = x.shape[-1]
    if index.dtype == np.bool_:
        index = np.flatnonzero(index)
    index = np.where(index < 0, index + nodes, index)
    return product(b, x, sparse(np.arange(index.size + 1), index, None, nodes))
