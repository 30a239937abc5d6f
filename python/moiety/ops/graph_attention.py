"""`edge_softmax` and `gat_aggregate`: attention over the edges that enter a node."""

from __future__ import annotations

import torch
from torch import Tensor

from moiety.graph.graph import Graph
from moiety.ops.graph_spmm import spmm

__all__ = ["edge_softmax", "gat_aggregate"]


def edge_softmax(graph: Graph, scores: Tensor) -> Tensor:
    """Softmax of scores (num_edges,) or (num_edges, H), in CSR order, over the edges of every row."""
    rows = graph.structure.rows
    shape = (graph.num_rows, *scores.shape[1:])
    at = rows.view(-1, *(1,) * (scores.ndim - 1)).expand_as(scores)
    most = torch.zeros(shape, dtype=scores.dtype).scatter_reduce(0, at, scores.detach(), "amax", include_self=False)
    raised = (scores - most[rows]).exp()
    total = torch.zeros(shape, dtype=scores.dtype).index_add(0, rows, raised)
    return raised / total[rows]


def gat_aggregate(
    graph: Graph, x: Tensor, score_source: Tensor, score_target: Tensor, negative_slope: float = 0.2
) -> Tensor:
    """``y[i] = sum_j softmax_j(leaky_relu(score_source[j] + score_target[i])) x[j]``, head by head (arXiv 1710.10903).

    x is (num_cols, H, D), score_source (num_cols, H), score_target (num_rows, H); y is (num_rows, H, D).
    """
    scores = score_source[graph.indices] + score_target[graph.structure.rows]
    weight = edge_softmax(graph, torch.nn.functional.leaky_relu(scores, negative_slope))
    result: Tensor = spmm(graph, x, weight)
    return result
