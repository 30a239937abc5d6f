"""Random walks along the edges of a graph: DeepWalk's and node2vec's."""

from __future__ import annotations

import torch
from torch import Tensor

from moiety._core import graph_sampling as _core
from moiety.graph.graph import Graph
from moiety.graph.sampling import node_numbers

__all__ = ["random_walks"]


def random_walks(
    graph: Graph,
    starts: Tensor,
    length: int,
    p: float = 1.0,
    q: float = 1.0,
    seed: int = 0,
    threads: int | None = None,
) -> Tensor:
    """Walks of `length` steps from `starts` (n,): nodes int64 (n, length + 1), the start first.

    A step follows an edge from its source to its target, each with equal probability for p = q = 1 (DeepWalk, arXiv
    1403.6652). Otherwise (node2vec, arXiv 1607.00653, section 3.2.2) a step from v that came from t goes back to t
    with a weight of 1/p, to a node that an edge from t reaches too with 1, and elsewhere with 1/q. Edge weights play no
    part. A walk that comes to a node without outgoing edges ends, and the rest of its row is -1. Row w depends on
    (`seed`, w) alone, at any number of threads (None: torch's).
    """
    if graph.num_rows != graph.num_cols:
        raise ValueError(f"random_walks: expected a square graph, got {graph.num_rows} x {graph.num_cols}")
    indptr, targets, _ = graph.csc
    walks = _core.random_walks(
        indptr.numpy(),
        targets.numpy(),
        graph.num_rows,
        node_numbers("random_walks: starts", starts).numpy(),
        length,
        p,
        q,
        seed % 2**64,
        torch.get_num_threads() if threads is None else threads,
    )
    return torch.from_numpy(walks)
