"""The operations that graph networks are made of, as Besta & Hoefler count them (arXiv 2205.09702, section 2, Table 3).

An operation has work and depth up to constants, and names the tensors that it takes: k features, vertices of degree d
(d at most), n vertices, m edges, K layers of a perceptron, s powers of the adjacency matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["GLOBAL", "LOCAL", "Operation", "Tensor"]


class Tensor(Enum):
    """The tensor classes of Table 3."""

    VECTOR = "dense vector of k"
    SQUARE = "dense k x k"
    TALL = "dense n x k"
    SPARSE = "sparse n x n"
    FULL = "dense n x n"  # what powers and inverses of a sparse matrix fill up to


@dataclass(frozen=True)
class Operation:
    """`work` and `depth` are expressions in the symbols above, without constants."""

    name: str
    work: str
    depth: str
    tensors: tuple[Tensor, ...]
    executed: bool = True  # False: a formula only, nothing here computes it so


def _table(*operations: Operation) -> Mapping[str, Operation]:
    return {operation.name: operation for operation in operations}


_VECTOR, _SQUARE, _TALL, _SPARSE, _FULL = Tensor

# On the vectors of one vertex or one edge.
LOCAL = _table(
    Operation("pass on", "1", "1", (_VECTOR,)),
    Operation("scale", "k", "1", (_VECTOR,)),
    Operation("elementwise product", "k", "1", (_VECTOR, _VECTOR)),
    Operation("concatenate", "k", "1", (_VECTOR, _VECTOR)),
    Operation("activation", "k", "1", (_VECTOR,)),
    Operation("dot product", "k", "log(k)", (_VECTOR, _VECTOR)),
    Operation("matrix times vector", "k**2", "log(k)", (_SQUARE, _VECTOR)),
    Operation("perceptron", "K*k**2", "K*log(k)", (_SQUARE, _VECTOR)),
)

# On whole matrices.
GLOBAL = _table(
    Operation("A H", "m*k", "log(d)", (_SPARSE, _TALL)),
    Operation("A * (H H^T)", "m*k", "log(k)", (_SPARSE, _TALL, _TALL)),
    Operation("add", "n*k", "1", (_TALL, _TALL)),
    Operation("activation", "n*k", "1", (_TALL,)),
    Operation("H W", "n*k**2", "log(k)", (_TALL, _SQUARE)),
    Operation("perceptron", "K*n*k**2", "K*log(k)", (_TALL, _SQUARE)),
    # A^s by repeated squaring: log s products that the paper counts as sparse times filled.
    Operation("A^s", "m*n*log(s)", "log(s)*log(d)", (_SPARSE, _FULL), executed=False),
    Operation("A^2", "m*n", "log(d)", (_SPARSE, _SPARSE), executed=False),
    Operation("(I - a A)^-1", "n**3", "log(n)**2", (_SPARSE, _FULL), executed=False),
)
