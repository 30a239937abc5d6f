"""The micro-pipeline inside a layer: neighbours of one chunk of nodes are summed while another chunk is transformed.

A layer that is a sum over neighbours followed by a map of each node has two stages, the graph operation and the neural
one (Besta and Hoefler, figure 14). Both run at once, in a thread each: the graph stage on chunk c + 1 beside the
neural stage on chunk c, and in the backward pass the neural stage on chunk c + 1 beside the graph stage on chunk c.
The sum of a row is over the same numbers in the same order as without chunks.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from moiety.graph import Graph
from moiety.graph.structure import Structure
from moiety.ops import spmm
from moiety.train.graph.stages import Layer

__all__ = ["MicroPipeline", "row_chunks"]


def row_chunks(graph: Graph, chunks: int) -> list[tuple[int, int]]:
    """Runs of rows [begin, end) with about equally many edges and rows; never more than there are rows."""
    rows = graph.num_rows
    if chunks < 1:
        raise ValueError(f"micro-pipeline: expected chunks >= 1, got {chunks}")
    weight = graph.indptr[1:] + torch.arange(1, rows + 1)
    total = int(weight[-1]) if rows else 0
    wanted = torch.tensor([total * k // chunks for k in range(1, chunks)], dtype=torch.int64)
    cuts = torch.searchsorted(weight, wanted, right=True).tolist()
    ends = sorted({0, *cuts, rows})
    return list(pairwise(ends))


class MicroPipeline(nn.Module):
    """A `Layer` in two overlapping stages: forward(source, target, block) as the layer itself.

    For GCNConv, GINConv, and SAGEConv with mean or sum; others are refused, since their two stages depend on each other
    the other way round. Blocks are cut once and kept, with their transposes. Gradients are of the first order.
    """

    def __init__(self, layer: Layer, chunks: int = 4) -> None:
        super().__init__()
        if not layer.sums:
            raise ValueError(
                f"micro-pipeline: expected a convolution that is a sum and then a map of nodes (GCNConv, GINConv, "
                f"SAGEConv with mean or sum), got {layer.conv!r}"
            )
        for name, module in layer.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ValueError(f"micro-pipeline: {name} normalises over all nodes at once and cannot run in chunks")
        if chunks < 1:
            raise ValueError(f"micro-pipeline: expected chunks >= 1, got {chunks}")
        self.layer, self.chunks = layer, chunks
        self._cut: tuple[Graph, list[Graph], list[tuple[int, int]]] | None = None

    def operand(self, graph: Graph) -> Graph:
        """As `Layer.operand`."""
        return self.layer.operand(graph)

    def pieces(self, block: Graph) -> tuple[list[Graph], list[tuple[int, int]]]:
        """The rows of every chunk as graphs, and which they are."""
        if self._cut is None or self._cut[0] is not block:
            summed = self.layer.summed(block)
            ranges = row_chunks(summed, self.chunks)
            self._cut = block, [_rows(summed, begin, end) for begin, end in ranges], ranges
        return self._cut[1], self._cut[2]

    def forward(self, source: Tensor, target: Tensor, block: Graph) -> Tensor:
        parameters = [p for p in self.layer.parameters() if p.requires_grad]
        graphs, ranges = self.pieces(block)
        return cast(
            Tensor,
            _TwoStages.apply(self.layer, graphs, ranges, source, target, *parameters),  # type: ignore[no-untyped-call]
        )


def _rows(graph: Graph, begin: int, end: int) -> Graph:
    first, last = int(graph.indptr[begin]), int(graph.indptr[end])
    structure = Structure(graph.indptr[begin : end + 1] - first, graph.indices[first:last].clone(), graph.num_cols)
    return Graph(structure, None if graph.weight is None else graph.weight[first:last])


class _TwoStages(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: Layer,
        graphs: list[Graph],
        ranges: list[tuple[int, int]],
        source: Tensor,
        target: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        needs = ctx.needs_input_grad
        ctx.graphs, ctx.ranges, ctx.parameters, ctx.source_shape = graphs, ranges, parameters, source.shape
        fixed, records = source.detach(), []
        with ThreadPoolExecutor(1) as graph_stage:
            sums = [graph_stage.submit(spmm, graph, fixed) for graph in graphs]
            for (begin, end), coming in zip(ranges, sums, strict=True):
                with torch.set_grad_enabled(any(needs)):
                    total = coming.result().requires_grad_(needs[3])
                    own = target.detach()[begin:end].requires_grad_(needs[4])
                    records.append((total, own, layer.neural(total, own)))
        ctx.records = records
        return torch.cat([y.detach() for _, _, y in records])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _, _, _, to_source, to_target, *_ = ctx.needs_input_grad
        source: Tensor | None = gradient.new_zeros(ctx.source_shape) if to_source else None
        targets: list[Tensor] = []
        sums: list[Tensor | None] = [None] * len(ctx.parameters)

        def back_along_edges(graph: Graph, g: Tensor) -> None:
            assert source is not None
            source.add_(spmm(graph.transpose(), g))

        with ThreadPoolExecutor(1) as graph_stage:
            waiting = []
            for graph, (begin, end), (total, own, y) in zip(ctx.graphs, ctx.ranges, ctx.records, strict=True):
                wanted = [v for v, needed in ((total, to_source), (own, to_target)) if needed]
                found = torch.autograd.grad(y, [*wanted, *ctx.parameters], gradient[begin:end], allow_unused=True)
                into = dict(zip(map(id, wanted), found, strict=False))
                if to_source:
                    waiting.append(graph_stage.submit(back_along_edges, graph, into[id(total)]))
                if to_target:
                    g = into[id(own)]
                    targets.append(torch.zeros_like(own) if g is None else g)
                for k, g in enumerate(found[len(wanted) :]):
                    before = sums[k]
                    sums[k] = g if before is None or g is None else before + g
            for done in waiting:
                done.result()
        ctx.records = None  # the chunks' graphs: one backward pass is all they are kept for
        return None, None, None, source, torch.cat(targets) if to_target else None, *sums
