"""Functions of edges, some thousands of edges at a time: forward, and again in the backward pass.

A message as GAT's second version or a gated network has it is a nonlinear function of both ends, so there is no product
to hoist out of the edges. Computed for all of them at once it fills, several times over, a tensor of edges x features
that no cache holds and that the operating system hands out page by page. Here only a piece of it exists at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from moiety.graph import Graph
from moiety.nn.graph.structure import at_sources, at_targets, remembered, to_targets

__all__ = ["over_edges"]

Function = Callable[..., Tensor]
PIECE = 1 << 19  # numbers of a piece's widest tensor


def over_edges(
    graph: Graph,
    function: Function,
    *,
    sources: Sequence[Tensor] = (),
    targets: Sequence[Tensor] = (),
    edges: Sequence[Tensor] = (),
    parameters: Sequence[Tensor] = (),
    add_up: bool = True,
) -> Tensor:
    """``function(*at each edge's source, *at its target, *of the edge, *parameters)``, a tensor (E, ...), added up over
    the edges that enter every target (num_rows, ...), or with add_up=False as it is.

    sources (num_cols, ...), targets (num_rows, ...), edges (E, ...) in CSR order; the function takes any number of
    edges, treats each by itself, draws no random numbers, and reaches whatever learns through its arguments alone.
    Differentiable once.
    """
    if torch.compiler.is_compiling():
        ends = [*(at_sources(graph, x) for x in sources), *(at_targets(graph, x) for x in targets)]
        messages = function(*ends, *edges, *parameters)
        return to_targets(graph, messages) if add_up else messages
    counts = len(sources), len(targets), len(edges)
    tensors = (*sources, *targets, *edges, *parameters)
    return cast(Tensor, _OverEdges.apply(graph, function, counts, add_up, *tensors))  # type: ignore[no-untyped-call]


class _Pieces:
    """The pieces of a graph, each of whole rows, and what the arguments of a function are in one."""

    def __init__(self, graph: Graph, counts: tuple[int, int, int], tensors: Sequence[Tensor]) -> None:
        self.graph, self.counts = graph, counts
        width = max((x[0].numel() for x in tensors[: sum(counts)] if len(x)), default=1)
        size = max(PIECE // max(width, 1), 1)
        self.bounds = remembered(graph, ("pieces", size), lambda: _bounds(graph.indptr, size))

    def arguments(self, tensors: Sequence[Tensor], begin: int, end: int) -> list[Tensor]:
        return [
            x if index is None else x[begin:end] if isinstance(index, slice) else x.index_select(0, index)
            for x, index in zip(tensors, self.indices(len(tensors), begin, end), strict=True)
        ]

    def indices(self, count: int, begin: int, end: int) -> list[Tensor | slice | None]:
        """Which rows of every argument a piece takes; None: all, of a parameter."""
        at_source, at_target, of_edge = self.counts
        source, target = self.graph.indices[begin:end], self.graph.structure.rows[begin:end]
        whole = count - sum(self.counts)
        return [source] * at_source + [target] * at_target + [slice(begin, end)] * of_edge + [None] * whole


def _bounds(indptr: Tensor, size: int) -> list[tuple[int, int]]:
    """First and last edge of pieces of about `size` edges, whole rows each; of no edges one empty piece."""
    total = int(indptr[-1])
    if total <= size:
        return [(0, total)]
    inner = torch.searchsorted(indptr, torch.arange(size, total, size))
    return list(pairwise(torch.unique(torch.cat([indptr[inner], torch.tensor([0, total])])).tolist()))


class _OverEdges(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, graph: Graph, function: Function, counts: tuple[int, int, int], add_up: bool, *tensors: Tensor
    ) -> Tensor:
        ctx.function, ctx.add_up, ctx.pieces = function, add_up, _Pieces(graph, counts, tensors)
        ctx.save_for_backward(*tensors)
        result: Tensor | None = None
        for begin, end in ctx.pieces.bounds:
            messages = function(*ctx.pieces.arguments(tensors, begin, end))
            if result is None:
                shape = (graph.num_rows if add_up else graph.num_edges, *messages.shape[1:])
                result = messages.new_zeros(shape) if add_up else messages.new_empty(shape)
            if add_up:
                result.index_add_(0, graph.structure.rows[begin:end], messages)
            else:
                result[begin:end] = messages
        assert result is not None
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tensors, pieces = ctx.saved_tensors, ctx.pieces
        wanted = [i for i, needed in enumerate(ctx.needs_input_grad[4:]) if needed]
        sums: list[Tensor | None] = [torch.zeros_like(x) if i in wanted else None for i, x in enumerate(tensors)]
        rows = pieces.graph.structure.rows
        for begin, end in pieces.bounds:
            arguments = [x.detach() for x in pieces.arguments(tensors, begin, end)]
            for i in wanted:
                arguments[i].requires_grad_()
            with torch.enable_grad():
                messages = ctx.function(*arguments)
            above = gradient.index_select(0, rows[begin:end]) if ctx.add_up else gradient[begin:end]
            found = torch.autograd.grad(messages, [arguments[i] for i in wanted], above, allow_unused=True)
            indices = pieces.indices(len(tensors), begin, end)
            for i, part in zip(wanted, found, strict=True):
                total, index = sums[i], indices[i]
                if part is None or total is None:
                    continue
                if index is None:
                    total += part
                elif isinstance(index, slice):
                    total[index] = part
                else:
                    total.index_add_(0, index, part)
        return None, None, None, None, *sums
