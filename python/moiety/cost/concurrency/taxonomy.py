"""Where a model stands in Besta & Hoefler's taxonomy (arXiv 2205.09702, sections 2.3 and 2.6, Table 3).

Of a model of the tables, what the paper says; of any other one, what its kernels show: coefficients along edges that
are computed from features make an A-GNN, vectors along edges an MP-GNN, and products with the graph that follow each
other without a dense product in between a polynomial in the adjacency matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .kernels import Fold, Gat, Gather, Gemm, Kernel, Map, Scatter, Sddmm, Spmm
from .models import GLOBAL_MODELS, LOCAL_MODELS, Kind, Order, OverNeighbours
from .operations import GLOBAL, LOCAL, Operation

__all__ = ["ROWS", "Taxonomy", "of_kernels", "of_row", "row_of"]

# Names under which the registry has models of the tables, beside those of the tables themselves.
ROWS = {"graphsage": "sage-mean", "gatv2": "gat"}


@dataclass(frozen=True)
class Taxonomy:
    """`tensors` says for every operation which tensors it takes, sparse or dense."""

    kind: str
    formulations: tuple[str, ...]  # those that the paper has: "local", "global"
    order: str
    tensors: dict[str, tuple[str, ...]]
    source: str  # "the paper" or "its kernels"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def row_of(name: str) -> str | None:
    """The row of the tables that a model's name stands for."""
    row = ROWS.get(name, name)
    return row if row in LOCAL_MODELS or row in GLOBAL_MODELS else None


def of_row(row: str) -> Taxonomy:
    """Of a model of Tables 5 to 7. Raises ValueError for other names."""
    local, glob = LOCAL_MODELS.get(row), GLOBAL_MODELS.get(row)
    if local is None and glob is None:
        raise ValueError(f"expected a model of the tables, got {row!r}")
    formulations = tuple(name for name, model in (("local", local), ("global", glob)) if model is not None)
    operations: list[tuple[str, Operation]] = []
    if local is not None:
        names = [n for part in (*local.psi, *local.phi) for n in _names(part)]
        operations += [("local", LOCAL[n]) for n in dict.fromkeys(names)]
    if glob is not None:
        operations += [("global", GLOBAL[n]) for n in dict.fromkeys(glob.operations)]
    tensors = {f"{where}: {o.name}": tuple(t.value for t in o.tensors) for where, o in operations}
    # Models with a global formulation only have fixed coefficients, unless their products say otherwise.
    attends = glob is not None and any("H H^T" in name for name in glob.operations)
    kind = local.kind if local is not None else Kind.A if attends else Kind.C
    order = glob.order if glob is not None else Order.LINEAR
    return Taxonomy(kind.value, formulations, order.value, tensors, "the paper")


def _names(part: str | OverNeighbours) -> tuple[str, ...]:
    return part.operations if isinstance(part, OverNeighbours) else (part,)


TENSORS: dict[type[Kernel], tuple[str, ...]] = {
    Spmm: ("sparse n x n", "dense n x k"),
    Sddmm: ("sparse n x n", "dense n x k", "dense n x k"),
    Gat: ("sparse n x n", "dense n x k"),
    Gemm: ("dense n x k", "dense k x k"),
    Map: ("dense n x k",),
    Fold: ("dense n x k",),
    Gather: ("dense n x k",),
    Scatter: ("dense m x k",),
}


def of_kernels(kernels: Sequence[Kernel]) -> Taxonomy:
    """Of a forward pass's kernels, in their order."""
    vectors = any(isinstance(k, (Gather, Scatter)) and k.width > 1 for k in kernels)
    scores = any(isinstance(k, (Sddmm, Gat)) or k.name == "edge_softmax" for k in kernels)
    products = any(isinstance(k, (Spmm, Gat, Scatter)) for k in kernels)
    kind = (Kind.MP if vectors else Kind.A if scores else Kind.C).value if products else "no operation on the graph"
    longest = run = 0
    for kernel in kernels:
        run = run + 1 if isinstance(kernel, (Spmm, Gat)) else 0 if isinstance(kernel, Gemm) else run
        longest = max(longest, run)
    order = Order.POLYNOMIAL if longest > 1 else Order.LINEAR
    tensors = {k.name: TENSORS[type(k)] for k in kernels if type(k) in TENSORS}
    return Taxonomy(kind, ("as executed",), order.value, tensors, "its kernels")
