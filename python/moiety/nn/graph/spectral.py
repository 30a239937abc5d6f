"""Chebyshev polynomials of the Laplacian."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.nn.graph.parts import glorot, set_bias, zeros
from moiety.nn.graph.structure import Structure, as_graph, edge_values, remembered, self_loops
from moiety.ops import spmm

__all__ = ["ChebConv"]

NORMALIZATIONS = ("sym", "rw", None)


class ChebConv(nn.Module):
    """x' = sum_k T_k(2 L / lambda_max - I) x W_k + b, k < K (M. Defferrard, X. Bresson and P. Vandergheynst, NeurIPS
    2016, equation 4), with T_0 = I, T_1 = L^, T_k = 2 L^ T_{k-1} - T_{k-2}.

    normalization: "sym" L = I - D^-1/2 A D^-1/2, "rw" L = I - D^-1 A, None L = D - A. Loops of the graph are left out.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int,
        normalization: str | None = "sym",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if K < 1 or normalization not in NORMALIZATIONS:
            raise ValueError(f"expected K >= 1 and normalization 'sym', 'rw' or None, got {K} and {normalization!r}")
        self.in_channels, self.out_channels, self.normalization = in_channels, out_channels, normalization
        self.lins = nn.ModuleList(nn.Linear(in_channels, out_channels, bias=False) for _ in range(K))
        set_bias(self, out_channels if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for lin in self.lins:
            glorot(cast(nn.Linear, lin).weight)
        zeros(self.bias)

    def forward(
        self,
        x: Tensor,
        edge_index: Structure,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        lambda_max: Tensor | float | None = None,
    ) -> Tensor:
        """x (nodes, in_channels); edge_weight (E,). Returns (nodes, out_channels).

        lambda_max: the Laplacian's largest eigenvalue, one number, or with `batch` (nodes,), the graph of every node,
        one a graph; without it twice the largest entry of L.
        """
        graph = as_graph(edge_index, len(x), len(x))
        weight = edge_values(edge_index, graph, edge_weight)
        scaled, entries = scaled_laplacian(graph, weight, x.dtype, self.normalization, batch, lambda_max)
        before, now = x, x
        y: Tensor = self.lins[0](x)
        for k, lin in enumerate(self.lins):
            if k == 1:
                now = spmm(scaled, x, entries)
            elif k > 1:
                before, now = now, 2 * spmm(scaled, now, entries) - before
            if k:
                y = y + lin(now)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, K={len(self.lins)}, normalization={self.normalization}"


def scaled_laplacian(
    graph: Graph,
    weight: Tensor | None,
    dtype: torch.dtype,
    normalization: str | None,
    batch: Tensor | None,
    lambda_max: Tensor | float | None,
) -> tuple[Graph, Tensor | None]:
    """2 L / lambda_max - I: the graph with loops, and its entries, None where the graph holds them itself."""
    looped = self_loops(graph)
    given = graph.weight if weight is None else weight
    plain = weight is None and batch is None and not isinstance(lambda_max, Tensor)

    def entries() -> Tensor:
        values = graph.edge_index.new_ones(graph.num_edges, dtype=dtype) if given is None else given.to(dtype)
        laplacian = _laplacian(graph, values, normalization)
        top = 2.0 * laplacian.max() if lambda_max is None else torch.as_tensor(lambda_max, dtype=dtype)
        if batch is not None and top.numel() > 1:
            top = top.index_select(0, batch.index_select(0, looped.graph.edge_index[0]))
        scaled = 2.0 * laplacian / top
        sources, targets = looped.graph.edge_index
        shifted: Tensor = scaled.masked_fill(scaled.isinf(), 0.0) - (sources == targets).to(dtype)
        return shifted

    if not plain or (given is not None and given.requires_grad):
        return looped.graph, entries()
    key = ("chebyshev", dtype, normalization, lambda_max)
    return remembered(graph, key, lambda: looped.graph.with_weight(entries())), None


def _laplacian(graph: Graph, values: Tensor, normalization: str | None) -> Tensor:
    """Entries of L in the order of the graph with loops. Degrees are those of the sources, as PyG has them."""
    looped = self_loops(graph)
    sources, targets = graph.edge_index
    values = torch.where(sources == targets, 0.0, values)
    degree = values.new_zeros(graph.num_cols).index_add(0, sources, values)
    if normalization is None:
        return looped.values(-values, degree)
    power = degree.pow(-0.5 if normalization == "sym" else -1.0)
    power = power.masked_fill(power.isinf(), 0.0)
    values = values * power.index_select(0, sources)
    if normalization == "sym":
        values = values * power.index_select(0, targets)
    return looped.values(-values, values.new_ones(looped.count))
