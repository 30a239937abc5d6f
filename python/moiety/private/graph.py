"""The float graph between torch and the two-party program: few kinds of nodes, weights as float64 arrays.

Shapes leave out the batch. Kinds, their attributes and the value they stand for:

    input
    linear      conv (dict of ConvShape fields), weight, bias (None, (out_channels,) or the whole output), extra_bits
    affine      a * x + b; a, b: None or arrays that broadcast to the shape; divisor: for a public 1/divisor (then a,
                b are None); public: a is a number of the code, which no parameter enters
    relu, hardtanh (low, high), sigmoid, tanh, argmax (axis)
    maxpool     kernel, stride, padding, dilation (three entries each), ceil_mode
    sumpool     kernel, stride, padding, count
    x2          c2 * x^2 + c1 * x + c0, arrays that broadcast to the shape; square: x^2
    add, subtract, multiply (two data inputs)
    resample    matrix (positions out, positions in), the same for every channel; only before the passes
    spmm        sparse (private/sparse.py), public, on the last axis
    factor      x * factor, a public number
    pairs       of every hyperedge the nodes that a signal picks; only until `hypergraph_smooth` reads them
    extremes    indptr, indices: bits (2 entries,), which nodes of every row hold its maximum, then its minimum
    sparse_multiply (two data inputs) indptr, indices: values on a public pattern times what is on the last axis;
                one_hot: at most one value of a row is not 0
    revealed    edges, rule (private/hyperedges.py): two data inputs, bits that both parties learn, and what the
                Laplacian of their pairs is applied to

Any node may have `within`, the least and largest value that it can have whatever the input, by what it computes.
    concat (axis), reshape, permute (axes), slice (axis, start, stop, step), pad (padding), upsample (factors)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Graph", "Node", "matrix_conv", "per_channel"]

Floats = npt.NDArray[np.float64]


@dataclass(eq=False)
class Node:
    """One float value. `source`: module path; `where`: source line; `paths`: modules whose output this value is, or,
    with `rescaled` = (a, b), whose output times a plus b it is."""

    kind: str
    inputs: list[Node]
    shape: tuple[int, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    where: str = ""
    paths: tuple[str, ...] = ()
    rescaled: tuple[Floats, Floats] | None = None

    def like(self, kind: str, inputs: list[Node], **attrs: Any) -> Node:
        """A node of another kind with this one's shape, source and module outputs."""
        return Node(kind, inputs, self.shape, attrs, self.source, self.where, self.paths)


class Graph:
    """All nodes from which `output` is reached; the inputs are there even if the output does not depend on them."""

    def __init__(self, inputs: Node | Sequence[Node], output: Node) -> None:
        self.inputs = [inputs] if isinstance(inputs, Node) else list(inputs)
        self.output = output

    @property
    def input(self) -> Node:
        """The first."""
        return self.inputs[0]

    def nodes(self) -> list[Node]:
        """In topological order: by depth first from the output, without recursion (deep networks)."""
        order: list[Node] = []
        done: set[Node] = set()
        stack: list[tuple[Node, bool]] = [(x, False) for x in (self.output, *reversed(self.inputs))]
        while stack:
            node, expanded = stack.pop()
            if node in done:
                continue
            if expanded:
                done.add(node)
                order.append(node)
                continue
            stack.append((node, True))
            stack.extend((x, False) for x in reversed(node.inputs) if x not in done)
        return order

    def consumers(self) -> dict[Node, list[Node]]:
        """node -> the nodes that read it, one entry for each use."""
        users: dict[Node, list[Node]] = {node: [] for node in self.nodes()}
        for node in users:
            for x in node.inputs:
                users[x].append(node)
        return users

    def replace(self, old: Node, new: Node, within: Iterable[Node] | None = None) -> None:
        """Makes the readers of `old` (all but `new` itself, or those given) read `new`."""
        for node in self.nodes() if within is None else within:
            if node is not new:
                node.inputs = [new if x is old else x for x in node.inputs]
        if self.output is old and within is None:
            self.output = new


def per_channel(array: Floats) -> bool:
    """Does an array that broadcasts to a shape vary along axis 0 only?"""
    return all(n == 1 for n in array.shape[1:])


def matrix_conv(in_channels: int, out_channels: int, positions: int, groups: int = 1) -> dict[str, Any]:
    """The ConvShape fields of a matrix applied to the channels at every one of `positions`."""
    return {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "groups": groups,
        "in": [1, 1, positions],
        "kernel": [1, 1, 1],
        "stride": [1, 1, 1],
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": False,
    }
