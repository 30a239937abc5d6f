"""A graph that the server keeps to itself: its sparse products become dense matrices that the server holds.

The client sees their shapes, so the number of nodes, and of hyperedges where a network computes something on them. Two
products in turn, to hyperedges and back, are one matrix (nodes, nodes).
"""

from __future__ import annotations

import numpy as np

from moiety.private.graph import Floats, Graph, Node, matrix_conv
from moiety.private.sparse import Sparse

__all__ = ["MOST", "compose", "hold"]

MOST = 4000  # rows or columns: a mask of a matrix of that size, which the client keeps, is 128 MB


def compose(graph: Graph) -> None:
    """S (T x) becomes (S T) x. Before the other passes, which add up what has one base."""
    changed = True
    while changed:
        changed = False
        users = graph.consumers()
        for node in graph.nodes():
            below = node.inputs[0] if node.inputs else None
            if node.kind != "spmm" or below is None or below.kind != "spmm" or len(users[below]) > 1:
                continue
            matrix = node.attrs["sparse"].after(below.attrs["sparse"])
            graph.replace(node, node.like("spmm", list(below.inputs), sparse=matrix))
            changed = True
            break


def dense(matrix: Sparse) -> Floats:
    if max(matrix.rows, matrix.columns) > MOST:
        raise ValueError(
            f"a private graph is held as a dense matrix of at most {MOST} rows and columns, this one has {matrix.rows} "
            f"and {matrix.columns}: compile it with a public graph, or a part of it"
        )
    full = np.zeros((matrix.rows, matrix.columns))
    np.add.at(full, (matrix.row, matrix.indices), matrix.floats)
    return full


def hold(graph: Graph) -> None:
    """Every sparse product becomes a server-held linear map with the nodes as channels. After the other passes."""
    for node in graph.nodes():
        if node.kind != "spmm":
            continue
        (x,), matrix = node.inputs, dense(node.attrs["sparse"])
        rows, columns = matrix.shape
        lead, rest = list(range(len(x.shape) - 1)), x.shape[:-1]
        conv = matrix_conv(columns, rows, int(np.prod(rest)))
        attrs = {"conv": conv, "weight": matrix.reshape(rows, columns, 1, 1, 1), "bias": None, "extra_bits": 0}
        turned = Node("permute", [x], (columns, *rest), {"axes": [len(rest), *lead]}, node.source, node.where)
        made = Node("linear", [turned], (rows, *rest), attrs, node.source, node.where)
        back = [*range(1, len(rest) + 1), 0]
        graph.replace(node, node.like("permute", [made], axes=back))
