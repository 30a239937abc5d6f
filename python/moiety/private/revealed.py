"""The Laplacian of pairs that both parties learn at run time: the same integers at both, from the same public bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from moiety.private.hyperedges import Hyperedges, Rule, laplacian
from moiety.private.program import Array, Op, Program

__all__ = ["RevealedPairs", "laplacians", "leak"]


class RevealedPairs(UserWarning):
    """A program was compiled with pairs="revealed": what it tells, and to whom."""


def edges_of(program: Program, op: Op) -> Hyperedges:
    indptr, indices, weight = (program.public[op.attrs[key]] for key in ("indptr", "indices", "edge_weights"))
    return Hyperedges(indptr, np.asarray(indices, np.int64), program.tensors[op.output].shape[-1], weight)


def laplacians(program: Program, op: Op, bits: npt.NDArray[Any]) -> list[tuple[Array, Array, Array]]:
    """Pointers, indices and ring values of the operation's matrix for every sample's bits (batch, 2 entries).

    Both parties round the same numbers: sums in one order, divisions and roots, all of them exact in IEEE 754.
    """
    edges, rule = edges_of(program, op), Rule(op.attrs["mediators"], op.attrs["code"])
    found = []
    for sample in bits:
        matrix = laplacian(edges, rule, *edges.pairs(sample))
        values = np.rint(matrix.floats * 2.0 ** op.attrs["fraction"]).astype(np.int64)
        found.append((matrix.indptr, matrix.indices.astype(np.int32), values.astype(program.dtype)))
    return found


def leak(program: Program) -> str:
    """What a program's run tells both parties beside its output, in words; "" for nothing."""
    told = [edges_of(program, op) for op in program.ops if op.kind == "revealed"]
    if not told:
        return ""
    pairs = sum(edges.count for edges in told)
    known = sum(float(np.log2(edges.sizes * (edges.sizes - 1.0) + 1).sum()) for edges in told)
    return (
        f"this program reveals: in {len(told)} layers both parties learn which two nodes of every hyperedge differ "
        f"most, {pairs} pairs, up to {known:.0f} bits about the client's input an inference"
    )
