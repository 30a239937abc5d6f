"""`segment_reduce`: sums, means and extremes of runs of rows, the pooling of many graphs in one batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety.graph.graph import Graph
from moiety.graph.structure import Structure, index_dtype
from moiety.ops.graph_spmm import Reduce, spmm

__all__ = ["segment_reduce"]


def segment_reduce(x: Tensor, indptr: Tensor, reduce: Reduce = "sum", return_argument: bool = False) -> Any:
    """``y[i] = reduce of x[indptr[i]:indptr[i + 1]]``, for x (n, ...) and indptr int64 (segments + 1,) from 0 to n.

    The types, gradients and the argument (rows of x) are those of `spmm`: it is the product with a graph whose edges
    are the rows of x in their order. An empty segment gives zero.
    """
    if indptr.dtype is not torch.int64 or indptr.ndim != 1 or x.ndim < 1:
        raise ValueError(
            f"segment_reduce: expected x (n, ...) and a vector indptr of int64, "
            f"got {tuple(x.shape)} and {tuple(indptr.shape)} of {indptr.dtype}"
        )
    n = x.shape[0]
    rows = torch.arange(n, dtype=index_dtype(n))
    graph = Graph(Structure(indptr.contiguous(), rows, n))
    return spmm(graph, x, None, reduce, return_argument)
