"""The pattern of a graph, without weights: compressed rows, their transpose, and the core's handle on both.

A `Structure` is checked when it is made and never changes; graphs that differ in their weights share one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from moiety._core import graph as _graph
from moiety._core import graph_sampling as _sampling

__all__ = ["Structure", "index_dtype"]

NARROW = 2**31 - 1  # the most nodes and edges that 32-bit numbers tell apart


def index_dtype(nodes: int) -> torch.dtype:
    """int32 while it holds every node's number: indices are a good part of what a kernel reads."""
    return torch.int32 if nodes <= NARROW else torch.int64


class Structure:
    """Edges by target: row i is entered by the edges at [indptr[i], indptr[i + 1]), which come from `indices` there.

    indptr is int64 (num_rows + 1,), indices int32 or int64 (num_edges,), both contiguous and on the CPU. Raises
    ValueError for pointers that fall or do not span the edges, and for indices outside [0, num_cols); `known` says that
    a kernel of ours has just written both, and nobody looks.
    """

    def __init__(
        self, indptr: Tensor, indices: Tensor, num_cols: int, order: str | None = None, known: bool = False
    ) -> None:
        if indptr.dtype is not torch.int64 or indices.dtype not in (torch.int32, torch.int64):
            raise TypeError(
                f"graph: expected indptr int64, indices int32 or int64, got {indptr.dtype} and {indices.dtype}"
            )
        if indptr.ndim != 1 or indices.ndim != 1 or not indptr.is_contiguous() or not indices.is_contiguous():
            raise ValueError("graph: expected indptr and indices to be contiguous vectors")
        if indptr.numel() == 0:
            raise ValueError("graph: expected indptr of num_rows + 1 numbers, got none")
        self.indptr, self.indices = indptr, indices
        self.num_rows, self.num_cols, self.num_edges = indptr.numel() - 1, num_cols, indices.numel()
        self.native = _graph.Pattern(
            self.num_rows,
            num_cols,
            self.num_edges,
            indptr.data_ptr(),
            indices.data_ptr(),
            indices.dtype is torch.int64,
            known,
        )
        self.order = order
        self.known_transposed: tuple[Structure, Tensor] | None = None

    @classmethod
    def from_edges(cls, target: Tensor, source: Tensor, num_rows: int, num_cols: int) -> tuple[Structure, Tensor]:
        """From an edge list, and the position in it of every edge; edges of a row come by source, then by position."""
        target, source = target.to(torch.int64).contiguous(), source.to(torch.int64).contiguous()
        indptr = torch.empty(num_rows + 1, dtype=torch.int64)
        indices = torch.empty(source.numel(), dtype=index_dtype(max(num_rows, num_cols)))
        position = torch.empty(source.numel(), dtype=torch.int64)
        _graph.build(
            target.data_ptr(),
            source.data_ptr(),
            source.numel(),
            num_rows,
            num_cols,
            indptr.data_ptr(),
            indices.data_ptr(),
            position.data_ptr(),
            indices.dtype is torch.int64,
        )
        return cls(indptr, indices, num_cols), position

    @property
    def transposed(self) -> tuple[Structure, Tensor]:
        """Edges by source, and the position here of every edge there; made once."""
        if self.known_transposed is None:
            indptr, indices, position = transpose(self.native, self.indices.dtype)
            other = Structure(indptr, indices, self.num_rows, self.order)
            back = torch.empty_like(position)
            back[position] = torch.arange(position.numel())
            other.known_transposed = self, back
            self.known_transposed = other, position
        return self.known_transposed

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes look the pattern through again: the core's handle holds addresses."""
        return Structure, (self.indptr, self.indices, self.num_cols, self.order)

    @property
    def order(self) -> str | None:
        """How kernels lay sources out beside each other: "degree", "rcm", or None for their own order."""
        return self._order

    @order.setter
    def order(self, order: str | None) -> None:
        if order not in (None, "degree", "rcm"):
            raise ValueError(f"graph: expected order None, 'degree' or 'rcm', got {order!r}")
        if order == "rcm" and self.num_rows != self.num_cols:
            raise ValueError(f"graph: order 'rcm' is of square graphs, got {self.num_rows} by {self.num_cols} nodes")
        self._order = order

    @cached_property
    def gathered(self) -> tuple[_graph.Pattern, Tensor | None]:
        """The pattern with sources numbered in `order`, and the source of every such number; None for the same ones.

        Edges and rows stay where they are, so that weights and results do as well.
        """
        if self.order is None:
            return self.native, None
        if self.order == "degree":
            first = self.transposed[0].degrees.argsort(descending=True, stable=True)
        else:
            first = torch.from_numpy(_sampling.rcm_order(self.indptr.numpy(), self.indices.numpy(), self.num_cols))
        number = torch.empty_like(first)
        number[first] = torch.arange(self.num_cols)
        self._renamed = Structure(self.indptr, number[self.indices].to(self.indices.dtype), self.num_cols)
        return self._renamed.native, first.to(self.indices.dtype)

    @cached_property
    def rows(self) -> Tensor:
        """The target of every edge (num_edges,), int64."""
        return torch.repeat_interleave(torch.arange(self.num_rows), self.degrees, output_size=self.num_edges)

    @cached_property
    def shares(self) -> Tensor:
        """What every edge counts in its row's mean (num_edges,), float64."""
        return self.degrees.to(torch.float64).reciprocal()[self.rows]

    @cached_property
    def degrees(self) -> Tensor:
        """The number of edges of every row (num_rows,), int64."""
        return self.indptr.diff()


def transpose(native: _graph.Pattern, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Column pointers, rows and positions of the edges by source."""
    indptr = torch.empty(native.columns + 1, dtype=torch.int64)
    indices = torch.empty(native.edges, dtype=dtype)
    position = torch.empty(native.edges, dtype=torch.int64)
    _graph.transpose(native, indptr.data_ptr(), indices.data_ptr(), position.data_ptr())
    return indptr, indices, position
