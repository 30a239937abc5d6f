"""Layers with a network of their own a node or an edge (GIN, GIN with edge features, EdgeConv), and gated messages.

Where that network begins with a linear layer, the layer is applied to the nodes and not to the edges, or in front of
the sum and not behind it, if that is less work: the same numbers, in another order.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.nn.graph.convolution import reduce_of
from moiety.nn.graph.edgewise import over_edges
from moiety.nn.graph.parts import linear, set_bias, zeros
from moiety.nn.graph.structure import (
    Pair,
    Structure,
    as_graph,
    at_sources,
    at_targets,
    edge_values,
    pair_of,
    to_targets,
    unweighted,
)
from moiety.ops import gated_sum, spmm
from moiety.ops.graph_common import plain

__all__ = ["EdgeConv", "GINConv", "GINEConv", "ResGatedGraphConv"]

GATED = (torch.float32, torch.float64)  # what the fused kernel takes

Network = Callable[[Tensor], Tensor]

# The largest of f(z) is f of the largest z, for every one of these.
RISING = (nn.ReLU, nn.ReLU6, nn.ELU, nn.CELU, nn.SELU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)


def reset(network: object) -> None:
    """Draw the parameters of a module, or of the modules inside it, anew."""
    if hasattr(network, "reset_parameters"):
        network.reset_parameters()
    elif isinstance(network, nn.Module):
        for child in network.children():
            reset(child)


def split(network: Network) -> tuple[nn.Linear | None, Network]:
    """A network's first linear layer and the rest of it; None and all of it where it does not begin with one."""
    first: Network = network
    rest: Network = nn.Identity()
    if isinstance(network, nn.Sequential) and len(network) and not hooked(network):
        first, rest = network[0], network[1:]
    if type(first) is nn.Linear and not hooked(first):
        return first, rest
    return None, network


def hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def rising(network: Network) -> bool:
    """Whether it takes every number by itself, and larger ones to no smaller ones."""
    if isinstance(network, nn.Sequential):
        return all(rising(module) for module in network)
    return type(network) in RISING or (type(network) is nn.LeakyReLU and network.negative_slope >= 0)


class _Isomorphism(nn.Module):
    """h((1 + eps) x_i + sum of messages): eps is a parameter with train_eps, else a buffer."""

    eps: Tensor

    def __init__(self, network: Network, eps: float, train_eps: bool) -> None:
        super().__init__()
        self.nn = network
        self.initial_eps = eps
        start = torch.full((1,), float(eps))
        if train_eps:
            self.eps = nn.Parameter(start)
        else:
            self.register_buffer("eps", start)

    def reset_parameters(self) -> None:
        reset(self.nn)
        nn.init.constant_(self.eps, self.initial_eps)


class GINConv(_Isomorphism):
    """x_i' = h((1 + eps) x_i + sum_j x_j) (K. Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019, eq. 4.1).

    nn: h, a module or function on the last axis. Weights of the graph do not count.
    """

    def __init__(self, nn: Network, eps: float = 0.0, train_eps: bool = False) -> None:
        super().__init__(nn, eps, train_eps)

    def forward(self, x: Pair | Graph, edge_index: Structure, size: tuple[int, int] | None = None) -> Tensor:
        """x (nodes, features), or a pair for sources and targets; a target of None adds no root.

        size: (sources, targets) where they cannot be told from x. Returns (targets, out_features).
        """
        first, rest = split(self.nn)
        source: Tensor
        target: Tensor | None
        if isinstance(x, Graph):
            if first is None:
                raise ValueError("GINConv: sparse features want a network that begins with nn.Linear: make x dense")
            source = target = linear(x, first.weight)
        else:
            source, target = pair_of(x)
            if first is not None and first.out_features < first.in_features:
                same = target is source
                source = linear(source, first.weight)
                target = source if same else None if target is None else linear(target, first.weight)
            else:
                first, rest = None, self.nn
        targets = len(target) if target is not None else size[1] if size is not None else None
        y = spmm(unweighted(as_graph(edge_index, len(source), targets)), source)
        if target is not None:
            y = y + (1 + self.eps) * target
        return rest(y if first is None or first.bias is None else y + first.bias)


class GINEConv(_Isomorphism):
    """x_i' = h((1 + eps) x_i + sum_j ReLU(x_j + e_ij)) (W. Hu et al., Strategies for Pre-training Graph Neural
    Networks, ICLR 2020).

    nn: h. edge_dim: edge features of that size go through a linear layer of their own first, to as many as nn takes.
    """

    def __init__(self, nn: Network, eps: float = 0.0, train_eps: bool = False, edge_dim: int | None = None) -> None:
        super().__init__(nn, eps, train_eps)
        self.lin = None if edge_dim is None else torch.nn.Linear(edge_dim, inputs_of(nn))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.lin is not None:
            self.lin.reset_parameters()

    def forward(
        self, x: Pair, edge_index: Structure, edge_attr: Tensor | None = None, size: tuple[int, int] | None = None
    ) -> Tensor:
        """x (nodes, features), or a pair; edge_attr (E, edge_dim), without edge_dim (E, features). (targets, out)."""
        source, target = pair_of(x)
        targets = len(target) if target is not None else size[1] if size is not None else None
        graph = as_graph(edge_index, len(source), targets)
        features = edge_values(edge_index, graph, edge_attr)
        if features is None:
            raise ValueError("GINEConv: expected edge_attr (E, features): take GINConv where edges have no features")
        if self.lin is not None:
            y = over_edges(
                graph,
                lambda x_j, e, w, b: F.relu(x_j + F.linear(e, w, b)),
                sources=[source],
                edges=[features],
                parameters=[self.lin.weight, self.lin.bias],
            )
        elif features.shape[-1] != source.shape[-1]:
            raise ValueError(
                f"GINEConv: expected edge features of {source.shape[-1]} numbers, as nodes have, got "
                f"{features.shape[-1]}: give edge_dim={features.shape[-1]}"
            )
        else:
            y = over_edges(graph, lambda x_j, e: F.relu(x_j + e), sources=[source], edges=[features])
        return self.nn(y if target is None else y + (1 + self.eps) * target)


def inputs_of(network: Network) -> int:
    """How many features a network takes, as its first layer says."""
    first = network[0] if isinstance(network, nn.Sequential) and len(network) else network
    for name in ("in_features", "in_channels"):
        if isinstance(size := getattr(first, name, None), int):
            return size
    raise ValueError(f"GINEConv: cannot tell how many features {type(network).__name__} takes: leave edge_dim out")


class EdgeConv(nn.Module):
    """x_i' = aggregate_j h([x_i, x_j - x_i]) (Y. Wang et al., Dynamic Graph CNN for Learning on Point Clouds, 2019,
    equation 8).

    nn: h, from 2 in to out features. aggr: "max", "sum" ("add"), "mean" or "min".
    """

    def __init__(self, nn: Network, aggr: str = "max") -> None:
        super().__init__()
        reduce_of(aggr)
        self.nn, self.aggr = nn, aggr

    def reset_parameters(self) -> None:
        reset(self.nn)

    def forward(self, x: Pair, edge_index: Structure) -> Tensor:
        """x (nodes, in), or a pair of both. Returns (targets, out); 0 for a target without edges."""
        source, target = pair_of(x)
        if target is None:
            raise ValueError("EdgeConv: expected features of the targets as well, got None")
        graph = unweighted(as_graph(edge_index, len(source), len(target)))
        reduce = reduce_of(self.aggr)
        first, rest = split(self.nn)
        if first is None:
            x_i, x_j = at_targets(graph, target), at_sources(graph, source)
            return to_targets(graph, self.nn(torch.cat([x_i, x_j - x_i], -1)), reduce)

        # W [x_i, x_j - x_i] + b = (W_1 - W_2) x_i + b + W_2 x_j: a product a node and no product an edge.
        w_1, w_2 = first.weight.chunk(2, 1)
        of_target, of_source = F.linear(target, w_1 - w_2, first.bias), F.linear(source, w_2)
        if (reduce in ("max", "min") and rising(rest)) or (reduce == "mean" and isinstance(rest, nn.Identity)):
            y = rest(of_target + spmm(graph, of_source, reduce=reduce))
            return torch.where((graph.in_degrees() > 0).unsqueeze(1), y, 0.0)
        return to_targets(graph, rest(at_targets(graph, of_target) + at_sources(graph, of_source)), reduce)

    def extra_repr(self) -> str:
        return f"aggr={self.aggr}"


class ResGatedGraphConv(nn.Module):
    """x_i' = W_s x_i + sum_j act(W_k x_i + W_q x_j) * W_v x_j + b (X. Bresson and T. Laurent, Residual Gated Graph
    ConvNets, 2017, arXiv 1711.07553, equation 11): G-GCN.

    edge_dim: features of edges stand beside those of the node in all three products of a message. root_weight: W_s.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        act: Callable[[Tensor], Tensor] | None = None,
        edge_dim: int | None = None,
        root_weight: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        source, target = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        self.in_channels, self.out_channels, self.edge_dim = in_channels, out_channels, edge_dim
        self.act = nn.Sigmoid() if act is None else act
        self.root_weight = root_weight
        more = edge_dim or 0
        self.lin_key = nn.Linear(target + more, out_channels)
        self.lin_query = nn.Linear(source + more, out_channels)
        self.lin_value = nn.Linear(source + more, out_channels)
        self.lin_skip = nn.Linear(target, out_channels, bias=False) if root_weight else None
        set_bias(self, out_channels if bias else None)

    def reset_parameters(self) -> None:
        for lin in (self.lin_key, self.lin_query, self.lin_value, self.lin_skip):
            if lin is not None:
                lin.reset_parameters()
        zeros(self.bias)

    def forward(self, x: Pair, edge_index: Structure, edge_attr: Tensor | None = None) -> Tensor:
        """x (nodes, in_channels), or a pair of both; edge_attr (E, edge_dim). Returns (targets, out_channels)."""
        source, target = pair_of(x)
        if target is None:
            raise ValueError("ResGatedGraphConv: expected features of the targets as well, got None")
        graph = unweighted(as_graph(edge_index, len(source), len(target)))
        features = edge_values(edge_index, graph, edge_attr)
        if (features is None) != (self.edge_dim is None):
            raise ValueError(
                f"ResGatedGraphConv: edge_dim is {self.edge_dim}: expected edge_attr just where it is given"
            )
        layers = self.lin_key, self.lin_query, self.lin_value
        (key, w_k), (query, w_q), (value, w_v) = (
            apart(lin, x, self.edge_dim) for lin, x in zip(layers, (target, source, source), strict=True)
        )
        act = self.act

        def gated(q_j: Tensor, v_j: Tensor, k_i: Tensor) -> Tensor:
            return act(k_i + q_j) * v_j

        def gated_by(q_j: Tensor, v_j: Tensor, k_i: Tensor, e: Tensor, *w: Tensor) -> Tensor:
            of_k, of_q, of_v = (F.linear(e, weight) for weight in w)
            return act(k_i + q_j + of_k + of_q) * (v_j + of_v)

        if type(act) not in RISING:  # it may learn, or draw random numbers
            k_i, q_j, v_j = at_targets(graph, key), at_sources(graph, query), at_sources(graph, value)
            messages = gated(q_j, v_j, k_i) if features is None else gated_by(q_j, v_j, k_i, features, w_k, w_q, w_v)
            y = to_targets(graph, messages)
        elif features is None and type(act) is nn.Sigmoid and key.dtype in GATED and plain(key, query, value):
            y = gated_sum(graph, key, query, value)  # compilers and the analyser see its parts, below
        elif features is None:
            y = over_edges(graph, gated, sources=[query, value], targets=[key])
        else:
            y = over_edges(
                graph, gated_by, sources=[query, value], targets=[key], edges=[features], parameters=[w_k, w_q, w_v]
            )
        if self.lin_skip is not None:
            y = y + self.lin_skip(target)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


def apart(lin: nn.Linear, x: Tensor, edge_dim: int | None) -> tuple[Tensor, Tensor]:
    """A linear map of [x, e]: what it makes of the nodes' x, with the bias, and the matrix (out, edge_dim) for the
    edges' e."""
    of_nodes, of_edges = torch.split(lin.weight, [x.shape[1], edge_dim or 0], 1)
    return F.linear(x, of_nodes, lin.bias), of_edges
