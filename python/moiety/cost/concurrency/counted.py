"""Runs a kernel under counters (csrc/graph/counted.hpp): its result in float64, and what it did.

The counts are found by doing the work one operation at a time; `Kernel.count` says them in closed form. No speed: for
graphs of some thousand edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moiety._core import graph_counted as _counted

from .kernels import (
    Count,
    EdgeSoftmax,
    EdgeSoftmaxBackward,
    Fold,
    Gat,
    GatBackward,
    Gather,
    Gemm,
    Kernel,
    Map,
    Scatter,
    Sddmm,
    Spmm,
)

__all__ = ["run"]

Reals = NDArray[np.float64]


def run(kernel: Kernel, *operands: NDArray[Any], scalars: tuple[float, ...] = ()) -> tuple[Reals, Count]:
    """The result and the counts of a kernel on operands that have its sizes.

    Operands: spmm x (columns, ...) and the weights if it has any; sddmm x and y; edge_softmax scores, backward alpha
    and its gradient; gat x, the scores of sources and of targets (`scalars`: the slope), backward those, y, L, p, q and
    dy (their results come one after another in one array); gather x; scatter x and what it goes into; gemm
    a, b and the bias if it has one; map its operands, each of the result's size (`scalars`: its constants); fold x
    (outer, length, inner). Raises ValueError for operands of other sizes.
    """
    arrays = [np.ascontiguousarray(a, np.float64) for a in operands]
    empty = np.zeros(0)
    match kernel:
        case Spmm(pattern=p, heads=h, width=w):
            weights = arrays[1] if kernel.each else empty
            got = _counted.spmm(
                (kernel.word, p.index_bytes), p.indptr, p.indices, weights, arrays[0].reshape(-1, h, w), kernel.reduce
            )
        case Sddmm(pattern=p, heads=h, width=w):
            x, y = (a.reshape(-1, h, w) for a in arrays)
            got = _counted.sddmm((kernel.word, p.index_bytes), p.indptr, p.indices, x, y)
        case EdgeSoftmax(pattern=p, heads=h):
            scores = arrays[0].reshape(-1, h)
            got = _counted.edge_softmax((kernel.word, p.index_bytes), p.indptr, p.indices, p.num_cols, scores)
        case EdgeSoftmaxBackward(pattern=p, heads=h):
            alpha, dalpha = (a.reshape(-1, h) for a in arrays)
            sizes = (kernel.word, p.index_bytes)
            got = _counted.edge_softmax_backward(sizes, p.indptr, p.indices, p.num_cols, alpha, dalpha)
        case Gat(pattern=p, heads=h, width=w):
            x, source, target = arrays
            sizes = (kernel.word, p.index_bytes)
            x = x.reshape(-1, h, w)
            got = _first(_counted.gat(sizes, p.indptr, p.indices, x, source, target, scalars[0], kernel.keep))
        case GatBackward(pattern=p, heads=h, width=w):
            x, source, target, y, log_sum, positive, share, dy = arrays
            x, y, dy = (a.reshape(-1, h, w) for a in (x, y, dy))
            sizes, saved = (kernel.word, p.index_bytes), [log_sum, positive, share]
            got = _first(_counted.gat_backward(sizes, p.indptr, p.indices, x, source, target, scalars[0], y, saved, dy))
        case Gather(index=i, width=w):
            got = _counted.gather((kernel.word, i.index_bytes), i.values, arrays[0].reshape(-1, 1, w))
        case Scatter(index=i, width=w):
            x, into = (a.reshape(-1, 1, w) for a in arrays)
            got = _counted.scatter((kernel.word, i.index_bytes), i.values, x, into, kernel.reduce, kernel.itself)
        case Gemm(n=n, k=k, m=m, batch=t):
            a, b = arrays[0].reshape(t, n, k), arrays[1].reshape(t, k, m)
            got = _counted.gemm((kernel.word, 4), a, b, arrays[2] if kernel.bias else empty)
        case Map(function=function):
            got = _counted.map((kernel.word, 4), function, [a.reshape(-1) for a in arrays], scalars, kernel.size)
        case Fold(function=function):
            x = arrays[0].reshape(kernel.outer, kernel.length, kernel.inner)
            got = _counted.fold((kernel.word, 4), function, x)
        case _:
            raise ValueError(f"expected a kernel that has counters, got {kernel.name or type(kernel).__name__}")
    return got[0], Count(**got[1])


def _first(got: tuple[list[Reals], dict[str, int]]) -> tuple[Reals, dict[str, int]]:
    """All results one after another, in one array: a kernel has one result for its callers."""
    return np.concatenate([a.ravel() for a in got[0]]), got[1]
