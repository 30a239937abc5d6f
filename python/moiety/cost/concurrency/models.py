"""The models of Besta & Hoefler's Tables 5, 6 (local formulations) and 7 (global ones), by what they do.

A local model is three lists of operations: psi at an edge, a reduction over the neighbours, phi at a vertex. A global
one is a list of operations on matrices, done `iterations` times. Work and depth of a pass follow from these
(`formulas`); nothing here states a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["GLOBAL_MODELS", "LOCAL_MODELS", "GlobalModel", "Kind", "LocalModel", "Order", "OverNeighbours"]


class Kind(Enum):
    """What comes along an edge (section 2.3): a fixed multiple of the neighbour, a learned one, any learned vector."""

    C = "C-GNN: fixed coefficients"
    A = "A-GNN: attention"
    MP = "MP-GNN: message passing"


class Order(Enum):
    """How the adjacency matrix enters a global formulation."""

    LINEAR = "linear"
    POLYNOMIAL = "polynomial"
    RATIONAL = "rational"


@dataclass(frozen=True)
class OverNeighbours:
    """Operations done anew for each neighbour of an edge's target and reduced to one number: a softmax' denominator."""

    operations: tuple[str, ...]


@dataclass(frozen=True)
class LocalModel:
    title: str
    kind: Kind
    formula: str
    psi: tuple[str | OverNeighbours, ...]
    phi: tuple[str, ...]
    reduce: str = "sum"
    note: str = ""


@dataclass(frozen=True)
class GlobalModel:
    title: str
    order: Order
    formula: str
    operations: tuple[str, ...]
    iterations: str = "L"  # or "1"
    written_depth: str | None = None  # the paper's, where it is not what its own operations give
    note: str = ""


_LAYER = ("matrix times vector", "activation")
_SCORE = ("matrix times vector", "concatenate", "dot product", "activation")

LOCAL_MODELS: Mapping[str, LocalModel] = {
    "gcn": LocalModel("GCN", Kind.C, "h_j / sqrt(d_i d_j)", ("scale",), _LAYER),
    "sage-mean": LocalModel("GraphSAGE, mean", Kind.C, "h_j", ("pass on",), _LAYER, "mean"),
    "gin": LocalModel("GIN", Kind.C, "h_j; MLP((1 + e) h_i + sum)", ("pass on",), ("scale", "perceptron")),
    "commnet": LocalModel(
        "CommNet", Kind.C, "h_j; W1 h_i + W2 sum", ("pass on",), ("matrix times vector", *_LAYER)
    ),
    "attention": LocalModel("Vanilla attention", Kind.A, "(h_i . h_j) h_j", ("dot product", "scale"), _LAYER),
    "monet": LocalModel(
        "MoNet",
        Kind.A,
        "exp(-(h_j - w)^T W^-1 (h_j - w) / 2) h_j",
        ("elementwise product", "matrix times vector", "dot product", "scale"),
        _LAYER,
    ),
    "gat": LocalModel(
        "GAT",
        Kind.A,
        "softmax_j(leaky(a . [W h_i | W h_j])) h_j",
        (*_SCORE, OverNeighbours(_SCORE), "scale"),
        _LAYER,
        note="Written, every edge computes its row's denominator anew; executed, W h and the denominators are hoisted.",
    ),
    "agnn": LocalModel(
        "Attention-based GNN", Kind.A, "w cos(h_i, h_j) h_j", (*("dot product",) * 3, "scale"), _LAYER
    ),
    "g-gcn": LocalModel(
        "G-GCN",
        Kind.MP,
        "sigmoid(W1 h_i + W2 h_j) * h_j",
        ("matrix times vector", "matrix times vector", "activation", "elementwise product"),
        _LAYER,
        note="Executed, W1 h and W2 h are computed once a vertex.",
    ),
    "sage-pool": LocalModel(
        "GraphSAGE, pooling", Kind.MP, "sigmoid(W h_j + w)", ("matrix times vector", "activation"), _LAYER, "max",
        note="Executed, psi is computed once a vertex.",
    ),
    "edgeconv-1": LocalModel(
        "EdgeConv, choice 1", Kind.MP, "W h_j", ("matrix times vector",), _LAYER, "max",
        note="Executed, W h is computed once a vertex.",
    ),
    "edgeconv-5": LocalModel(
        "EdgeConv, choice 5",
        Kind.MP,
        "sigmoid(W1 (h_j - h_i) + W2 h_i)",
        ("scale", "matrix times vector", "matrix times vector", "activation"),
        _LAYER,
        "max",
        note="Executed, W1 h and (W2 - W1) h are computed once a vertex.",
    ),
}  # fmt: skip

_POWERS = (
    "Only the matrix polynomial is counted, not its product with H; executed right to left, each power is one A H."
)
_SOLVE = "Executed as an iteration (APPNP): each step is one A H."

GLOBAL_MODELS: Mapping[str, GlobalModel] = {
    "gcn": GlobalModel("GCN", Order.LINEAR, "A H W", ("A H", "H W", "activation")),
    "sage-mean": GlobalModel("GraphSAGE, mean", Order.LINEAR, "A H W", ("A H", "H W", "activation")),
    "gin": GlobalModel(
        "GIN",
        Order.LINEAR,
        "MLP(((1 + e) I + A) H)",
        ("A H", "add", "perceptron"),
        written_depth="L*K*log(k) + L*K*log(d)",
        note="The paper's depth has the aggregation K times; it is done once a layer.",
    ),
    "commnet": GlobalModel("CommNet", Order.LINEAR, "A H W2 + H W1", ("A H", "H W", "H W", "add", "activation")),
    "attention": GlobalModel("Dot product", Order.LINEAR, "(A * (H H^T)) H W", ("A * (H H^T)", "A H", "H W")),
    "edgeconv-1": GlobalModel("EdgeConv, choice 1", Order.LINEAR, "A H W", ("A H", "H W")),
    "sgc": GlobalModel("SGC", Order.POLYNOMIAL, "A^s H W", ("A^s", "H W"), "1", note=_POWERS),
    "deepwalk": GlobalModel("DeepWalk", Order.POLYNOMIAL, "sum_s A^s H W", ("A^s", "H W"), "1", note=_POWERS),
    "cheb": GlobalModel("ChebNet", Order.POLYNOMIAL, "sum_s t_s A^s H W", ("A^s", "H W"), "1", note=_POWERS),
    "dcnn": GlobalModel("DCNN, GDC", Order.POLYNOMIAL, "sum_s w_s A^s H W", ("A^s", "H W"), "1", note=_POWERS),
    "node2vec": GlobalModel(
        "Node2Vec", Order.POLYNOMIAL, "(a I + b A + c A^2) H W", ("A^2", "H W"), "1", note=_POWERS
    ),
    "line": GlobalModel("LINE, SDNE", Order.POLYNOMIAL, "(a I + b A + c A^2) H W", ("A^2", "H W"), "1", note=_POWERS),
    "auto-regress": GlobalModel(
        "Auto-Regress", Order.RATIONAL, "c (I - a A)^-1 H W", ("(I - a A)^-1", "H W"), "1", note=_SOLVE
    ),
    "appnp": GlobalModel("PPNP", Order.RATIONAL, "c (I - a A)^-1 H W", ("(I - a A)^-1", "H W"), "1", note=_SOLVE),
    "arma": GlobalModel(
        "ARMA, ParWalks", Order.RATIONAL, "c (I - a A)^-1 H W", ("(I - a A)^-1", "H W"), "1", note=_SOLVE
    ),
}  # fmt: skip
