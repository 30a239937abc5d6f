"""Layers whose coefficients are learned: graph attention and its second version.

Without attention dropout and without edge features `GATConv` is one fused kernel, which forms no tensor of edges by
features; with them it holds one score a edge and head. Parameters have the names of PyTorch Geometric's.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.nn.graph.edgewise import over_edges
from moiety.nn.graph.parts import glorot, linear, set_bias, zeros
from moiety.nn.graph.structure import (
    Features,
    Pair,
    SelfLoops,
    Structure,
    as_graph,
    at_sources,
    at_targets,
    edge_values,
    pair_of,
    self_loops,
    unweighted,
)
from moiety.ops import edge_softmax, gat_aggregate, spmm

__all__ = ["GATConv", "GATv2Conv"]

FillValue = float | Tensor | str
Attention = Literal["softmax", "relu", "square"]
WithCoefficients = tuple[Tensor, Tensor]  # (targets, H, C), (E, H)
WithAttention = tuple[Tensor, tuple[Tensor, Tensor]]


def looped_features(loops: SelfLoops, edge_attr: Tensor, fill: FillValue, given: Graph) -> Tensor:
    """Edge features (E, ...) of the graph with loops: those of a loop are `fill`, a number, a tensor (...,), or "mean",
    "sum", "max" or "min" of the features of the edges that enter its node."""
    shape = (loops.count, *edge_attr.shape[1:])
    if isinstance(fill, str):
        targets = given.edge_index[1].index_select(0, loops.kept)
        index = targets.view(-1, *[1] * (edge_attr.ndim - 1)).expand(-1, *edge_attr.shape[1:])
        how = {"add": "sum", "sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}.get(fill)
        if how is None:
            raise ValueError(f"fill_value must be a number, a tensor, 'mean', 'sum', 'max' or 'min', got {fill!r}")
        rows = edge_attr.new_zeros(given.num_rows, *edge_attr.shape[1:])
        filled = rows.scatter_reduce(0, index, edge_attr.index_select(0, loops.kept), how, include_self=False)
        return loops.values(edge_attr, filled[: loops.count])
    if isinstance(fill, Tensor):
        return loops.values(edge_attr, fill.to(edge_attr).expand(shape))
    return loops.values(edge_attr, edge_attr.new_full(shape, fill))


def glorot_linear(in_channels: int, out_channels: int, bias: bool = False) -> nn.Linear:
    lin = nn.Linear(in_channels, out_channels, bias=bias)
    glorot(lin.weight)
    return lin


def head_scores(x: Tensor, attention: Tensor) -> Tensor:
    """<x_ih, a_h> for x (n, H, C) and a (1, H, C) -> (n, H), as one product with a block diagonal matrix (HC, H)."""
    heads, channels = x.shape[1:]
    blocks = attention.view(heads, channels, 1) * torch.eye(heads, dtype=x.dtype, device=x.device).view(heads, 1, heads)
    return x.flatten(1) @ blocks.view(heads * channels, heads)


def attend_plainly(graph: Graph, x: Tensor, scores: Tensor, attention: Attention, dropout: float) -> WithCoefficients:
    """Coefficients of scores s (E, H) that stay near those of a softmax for small ones, over the number of a target's
    edges instead of their sum: relu(1 + s), or (1 + s/2)^2; both are a mean where all scores are 0.

    No exponential and no division by a sum of private scores, which two parties would pay for dearly: ReLU over the
    number of terms (M. Wortsman et al., Replacing Softmax with ReLU in Vision Transformers, 2023, arXiv 2309.08586),
    and the numerator of MPCFormer's 2Quad (D. Li et al., ICLR 2023, section 4) with the constant at which it has the
    exponential's value and slope at 0.
    """
    raised = F.relu(1 + scores) if attention == "relu" else (1 + 0.5 * scores).square()
    coefficients = F.dropout(raised, dropout)
    return spmm(graph, x, coefficients, "mean"), coefficients


def attend(graph: Graph, x: Tensor, scores: Tensor, dropout: float) -> WithCoefficients:
    """Softmax of the scores (E, H) over each target's edges, and the mean of x (sources, H, C) that it weighs."""
    coefficients = F.dropout(edge_softmax(graph, scores), dropout)
    return spmm(graph, x, coefficients), coefficients


class _Attention(nn.Module):
    """What both versions share: options, self-loops, edge features, joining of the heads."""

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int,
        concat: bool,
        negative_slope: float,
        dropout: float,
        add_self_loops: bool,
        edge_dim: int | None,
        fill_value: FillValue,
        residual: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        if heads < 1 or out_channels < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"expected heads >= 1, out_channels >= 1, dropout in [0, 1), got {heads}, {out_channels}, {dropout}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.heads, self.concat, self.negative_slope, self.dropout = heads, concat, negative_slope, dropout
        self.add_self_loops, self.edge_dim, self.fill_value, self.residual = (
            add_self_loops, edge_dim, fill_value, residual,
        )  # fmt: skip
        target = in_channels[1] if isinstance(in_channels, tuple) else in_channels
        total = out_channels * (heads if concat else 1)
        self.lin_edge = None if edge_dim is None else glorot_linear(edge_dim, heads * out_channels)
        self.res = glorot_linear(target, total) if residual else None
        set_bias(self, total if bias else None)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def prepared(
    layer: nn.Module, edge_index: Structure, sources: int, targets: int | None, edge_attr: Tensor | None
) -> tuple[Graph, Tensor | None]:
    """The graph that an attention layer works on, and its edge features (E, edge_dim) in CSR order."""
    given = unweighted(as_graph(edge_index, sources, targets))
    features = edge_values(edge_index, given, edge_attr)
    if features is not None and features.ndim == 1:
        features = features.view(-1, 1)
    if not layer.add_self_loops:
        return given, features
    loops = self_loops(given)
    if features is not None:
        features = looped_features(loops, features, cast(FillValue, layer.fill_value), given)
    return loops.graph, features


def joined(layer: nn.Module, y: Tensor, target: Features | None) -> Tensor:
    """Heads side by side, or their mean, with the residual and the bias."""
    y = y.flatten(1) if layer.concat else y.mean(1)
    if layer.res is not None and target is not None:
        y = y + linear(target, cast(nn.Linear, layer.res).weight)
    return y if layer.bias is None else y + cast(Tensor, layer.bias)


class GATConv(_Attention):
    """x_i' = sum_j softmax_j(LeakyReLU(a_s W x_j + a_t W x_i [+ a_e W_e e_ij])) W x_j + b (P. Velickovic et al., Graph
    Attention Networks, ICLR 2018).

    heads: K of them, concatenated (equation 5) or, with concat=False, averaged (equation 6). dropout: of the
    coefficients in training. edge_dim: edge features take part in the scores; a loop's are `fill_value`, by default the
    mean of those of the edges that enter its node. residual: adds a linear map of the target. Weights of the graph do
    not count. attention: "softmax" as above; "relu" or "square" of the scores, without LeakyReLU and over the number of
    a target's edges, which private inference takes (`attend_plainly`).
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        edge_dim: int | None = None,
        fill_value: FillValue = "mean",
        bias: bool = True,
        residual: bool = False,
        attention: Attention = "softmax",
    ) -> None:
        if attention not in ("softmax", "relu", "square"):
            raise ValueError(f"attention must be 'softmax', 'relu' or 'square', got {attention!r}")
        super().__init__(
            in_channels, out_channels, heads, concat, negative_slope, dropout, add_self_loops, edge_dim, fill_value,
            residual, bias,
        )  # fmt: skip
        width = heads * out_channels
        self.lin = self.lin_src = self.lin_dst = None
        if isinstance(in_channels, tuple):
            self.lin_src, self.lin_dst = (glorot_linear(size, width) for size in in_channels)
        else:
            self.lin = glorot_linear(in_channels, width)
        self.attention = attention
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_edge = None if edge_dim is None else nn.Parameter(torch.empty(1, heads, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for lin in (self.lin, self.lin_src, self.lin_dst, self.lin_edge, self.res):
            if lin is not None:
                glorot(lin.weight)
        for attention in (self.att_src, self.att_dst, self.att_edge):
            glorot(attention)
        zeros(self.bias)

    def forward(
        self,
        x: Pair | Graph,
        edge_index: Structure,
        edge_attr: Tensor | None = None,
        size: tuple[int, int] | None = None,
        return_attention_weights: bool | None = None,
    ) -> Tensor | WithAttention:
        """x (nodes, in_channels), or a pair for sources and targets; edge_attr (E,) or (E, edge_dim).

        Returns (targets, heads * out_channels), or (targets, out_channels) of averaged heads; with
        return_attention_weights also (edge_index, coefficients (E, heads)), in the CSR order of the graph with loops.
        """
        source: Features
        target: Features | None
        source, target = (x, x) if isinstance(x, Graph) else pair_of(x)
        lin_src = cast(nn.Linear, self.lin_src if self.lin is None else self.lin)
        lin_dst = cast(nn.Linear, self.lin_dst if self.lin is None else self.lin)
        shape = (-1, self.heads, self.out_channels)
        h = linear(source, lin_src.weight).view(shape)  # (sources, H, C)
        score_source = head_scores(h, self.att_src)
        if target is None:
            rows = size[1] if size is not None else None
            graph, features = prepared(self, edge_index, len(h), rows, edge_attr)
            score_target = h.new_zeros(graph.num_rows, self.heads)
        else:
            g = h if target is source and lin_dst is lin_src else linear(target, lin_dst.weight).view(shape)
            graph, features = prepared(self, edge_index, len(h), len(g), edge_attr)
            score_target = head_scores(g, self.att_dst)

        dropout = self.dropout if self.training else 0.0
        fused = self.attention == "softmax" and features is None and not dropout and not return_attention_weights
        if fused:
            y = gat_aggregate(graph, h, score_source, score_target, self.negative_slope)
            return joined(self, y, target)
        scores = at_sources(graph, score_source) + at_targets(graph, score_target)
        if features is not None and self.lin_edge is not None:
            of_edges = linear(features, self.lin_edge.weight).view(shape)
            scores = scores + head_scores(of_edges, cast(Tensor, self.att_edge))
        if self.attention == "softmax":
            y, coefficients = attend(graph, h, F.leaky_relu(scores, self.negative_slope), dropout)
        else:
            y, coefficients = attend_plainly(graph, h, scores, self.attention, dropout)
            if return_attention_weights:
                coefficients = coefficients / at_targets(graph, graph.in_degrees().to(scores.dtype).unsqueeze(1))
        result = joined(self, y, target)
        return (result, (graph.edge_index, coefficients)) if return_attention_weights else result


class GATv2Conv(_Attention):
    """x_i' = sum_j softmax_j(a LeakyReLU(W_l x_j + W_r x_i [+ W_e e_ij])) W_l x_j + b (S. Brody, U. Alon and E. Yahav,
    How Attentive are Graph Attention Networks?, ICLR 2022, equation 7).

    share_weights: W_r is W_l. The other options are those of `GATConv`.
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        edge_dim: int | None = None,
        fill_value: FillValue = "mean",
        bias: bool = True,
        share_weights: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, heads, concat, negative_slope, dropout, add_self_loops, edge_dim, fill_value,
            residual, bias,
        )  # fmt: skip
        self.share_weights = share_weights
        source, target = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        self.lin_l = nn.Linear(source, heads * out_channels, bias=bias)
        self.lin_r = self.lin_l if share_weights else nn.Linear(target, heads * out_channels, bias=bias)
        self.att = nn.Parameter(torch.empty(1, heads, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.lin_l.reset_parameters()
        self.lin_r.reset_parameters()
        for lin in (self.lin_l, self.lin_r, self.lin_edge, self.res):
            if lin is not None:
                glorot(lin.weight)
        glorot(self.att)
        zeros(self.bias)

    def forward(
        self,
        x: Pair | Graph,
        edge_index: Structure,
        edge_attr: Tensor | None = None,
        return_attention_weights: bool | None = None,
    ) -> Tensor | WithAttention:
        """As `GATConv.forward`; a pair has both tensors."""
        source: Features
        target: Features | None
        source, target = (x, x) if isinstance(x, Graph) else pair_of(x)
        if target is None:
            raise ValueError("GATv2Conv: expected features of the targets as well, got None")
        shape = (-1, self.heads, self.out_channels)
        left = linear(source, self.lin_l.weight, self.lin_l.bias).view(shape)  # (sources, H, C)
        if target is source and self.share_weights:
            right = left
        else:
            right = linear(target, self.lin_r.weight, self.lin_r.bias).view(shape)
        graph, features = prepared(self, edge_index, len(left), len(right), edge_attr)

        slope = self.negative_slope
        if features is None:
            scores = over_edges(
                graph,
                lambda x_j, x_i, att: head_scores(F.leaky_relu(x_j + x_i, slope), att),
                sources=[left],
                targets=[right],
                parameters=[self.att],
                add_up=False,
            )  # (E, H)
        elif self.lin_edge is None:
            raise ValueError("GATv2Conv: got edge features: expected edge_dim to say how many")
        else:
            scores = over_edges(
                graph,
                lambda x_j, x_i, e, att, w: head_scores(
                    F.leaky_relu(x_j + x_i + F.linear(e, w).view(shape), slope), att
                ),
                sources=[left],
                targets=[right],
                edges=[features],
                parameters=[self.att, self.lin_edge.weight],
                add_up=False,
            )
        y, coefficients = attend(graph, left, scores, self.dropout if self.training else 0.0)
        result = joined(self, y, target)
        return (result, (graph.edge_index, coefficients)) if return_attention_weights else result
