"""The models of Besta & Hoefler's tables that the registry has not, as they are best executed, over `moiety.ops`.

Each is a `Stack` of equal layers called with features (nodes, in_features) and a graph; a layer's docstring says what
is computed and what is done once a vertex instead of once an edge. Polynomials of the adjacency matrix are evaluated
from right to left, one product an occurrence, and rational ones by iteration: no power and no inverse is ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from moiety import ops

if TYPE_CHECKING:
    from moiety.graph import Graph

__all__ = ["ZOO", "Stack", "build"]


class Stack(nn.Module):
    """Layers one after another; those of `width` features between the first and the last."""

    def __init__(self, layer: Callable[[int, int], nn.Module], in_features: int, hidden: int, out: int, layers: int):
        super().__init__()
        widths = [in_features, *[hidden] * (layers - 1), out]
        self.layers = nn.ModuleList(layer(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor, graph: Graph) -> Tensor:  # x (nodes, in_features)
        for layer in self.layers:
            x = layer(x, graph)
        return x  # (nodes, out)


class CommNet(nn.Module):
    """ReLU(W1 h_i + W2 sum_j h_j)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return torch.relu(self.own(x) + self.others(ops.spmm(graph, x)))


class DotAttention(nn.Module):
    """ReLU(sum_j (h_i . h_j) h_j W): the vanilla attention, (A * (H H^T)) H W."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return torch.relu(self.lin(ops.spmm(graph, x, ops.sddmm(graph, x, x))))


class CosineAttention(nn.Module):
    """ReLU(sum_j w cos(h_i, h_j) h_j W); rows are brought to length 1 once a vertex."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        unit = nn.functional.normalize(x)
        return torch.relu(self.lin(ops.spmm(graph, x, self.scale * ops.sddmm(graph, unit, unit))))


class Mixture(nn.Module):
    """ReLU(sum_j u_j h_j W) with u_j = exp(-(h_j - w)^T S (h_j - w) / 2), which depends on j alone: once a vertex."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(inputs))
        self.precision = nn.Parameter(torch.eye(inputs) / inputs)
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        off = x - self.mean
        weight = torch.exp(-0.5 * (off @ self.precision * off).sum(1, keepdim=True))  # (nodes, 1)
        return torch.relu(self.lin(ops.spmm(graph, weight * x)))


class Gated(nn.Module):
    """ReLU(sum_j sigmoid(W1 h_i + W2 h_j) * h_j W): both products once a vertex, the gate once an edge."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.target, self.source = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs, bias=False)
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        source, target = graph.edge_index
        gate = torch.sigmoid(self.target(x).index_select(0, target) + self.source(x).index_select(0, source))
        return torch.relu(self.lin(ops.segment_reduce(gate * x.index_select(0, source), graph.indptr)))


class Pooled(nn.Module):
    """ReLU(W [h_i, max_j sigmoid(V h_j + v)]): psi once a vertex."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pool = nn.Linear(inputs, inputs)
        self.own, self.others = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        pooled = ops.spmm(graph, torch.sigmoid(self.pool(x)), reduce="max")
        return torch.relu(self.own(x) + self.others(pooled))


class EdgeConv1(nn.Module):
    """ReLU(U max_j W h_j): W h once a vertex."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.message, self.lin = nn.Linear(inputs, inputs, bias=False), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return torch.relu(self.lin(ops.spmm(graph, self.message(x), reduce="max")))


class EdgeConv5(nn.Module):
    """ReLU(U max_j sigmoid(W1 (h_j - h_i) + W2 h_i)). A sigmoid rises, so that the maximum is taken of W1 h_j alone;
    (W2 - W1) h_i is added once a vertex."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.difference, self.own = nn.Linear(inputs, inputs, bias=False), nn.Linear(inputs, inputs, bias=False)
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        w1 = self.difference.weight
        most = ops.spmm(graph, nn.functional.linear(x, w1), reduce="max")
        return torch.relu(self.lin(torch.sigmoid(most + nn.functional.linear(x, self.own.weight - w1))))


class Polynomial(nn.Module):
    """sum_s c_s A^s H W for s <= powers, by Horner's scheme: c_0 H + A (c_1 H + A (c_2 H + ...))."""

    def __init__(self, inputs: int, outputs: int, powers: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.full((powers + 1,), 1.0 / (powers + 1)))
        self.lin = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        normalized = graph.gcn_normalized()
        x = self.lin(x)
        first, *rest = self.coefficients.flip(0)
        y: Tensor = first * x
        for c in rest:
            y = c * x + ops.spmm(normalized, y)
        return y


class Chebyshev(nn.Module):
    """sum_s t_s T_s(A) H W with T_s = 2 A T_{s-1} - T_{s-2} (Defferrard et al., NeurIPS 2016)."""

    def __init__(self, inputs: int, outputs: int, powers: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.full((powers + 1,), 1.0 / (powers + 1)))
        self.lin = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        normalized = graph.gcn_normalized()
        before: Tensor = self.lin(x)
        y: Tensor = self.coefficients[0] * before
        if len(self.coefficients) == 1:
            return y
        now = ops.spmm(normalized, before)
        y = y + self.coefficients[1] * now
        for c in self.coefficients[2:]:
            before, now = now, 2 * ops.spmm(normalized, now) - before
            y = y + c * now
        return y


class Iterated(nn.Module):
    """c (I - a A)^-1 H W by z <- a A z + c H W, `powers` times: the terms of the inverse's series."""

    def __init__(self, inputs: int, outputs: int, powers: int, a: float = 0.9) -> None:
        super().__init__()
        self.a, self.powers = a, powers
        self.lin = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        normalized = graph.gcn_normalized()
        start: Tensor = (1 - self.a) * self.lin(x)
        z = start
        for _ in range(self.powers):
            z = start + self.a * ops.spmm(normalized, z)
        return z


LAYERED: dict[str, Callable[[int, int], nn.Module]] = {
    "commnet": CommNet,
    "attention": DotAttention,
    "agnn": CosineAttention,
    "monet": Mixture,
    "g-gcn": Gated,
    "sage-pool": Pooled,
    "edgeconv-1": EdgeConv1,
    "edgeconv-5": EdgeConv5,
}
POLYNOMIAL: dict[str, Callable[[int, int, int], nn.Module]] = {
    "deepwalk": Polynomial,
    "cheb": Chebyshev,
    "dcnn": Polynomial,
    "node2vec": Polynomial,
    "line": Polynomial,
    "auto-regress": Iterated,
    "arma": Iterated,
}
ZOO = (*LAYERED, *POLYNOMIAL)
SQUARED = ("node2vec", "line")  # polynomials of degree 2 by definition


def build(name: str, in_features: int, num_classes: int, hidden: int = 16, layers: int = 2, powers: int = 4) -> Stack:
    """A model of `ZOO`: `layers` of them, or one with so many `powers` of the adjacency matrix (2 for node2vec, line).

    Raises ValueError for other names and for sizes below 1.
    """
    if name not in ZOO:
        raise ValueError(f"expected one of {', '.join(ZOO)}, got {name!r}")
    if min(in_features, num_classes, hidden, layers, powers) < 1:
        raise ValueError(
            "expected in_features, num_classes, hidden, layers and powers >= 1, got "
            f"{in_features}, {num_classes}, {hidden}, {layers}, {powers}"
        )
    if name in LAYERED:
        return Stack(LAYERED[name], in_features, hidden, num_classes, layers)
    made, degree = POLYNOMIAL[name], 2 if name in SQUARED else powers
    return Stack(lambda a, b: made(a, b, degree), in_features, hidden, num_classes, 1)
